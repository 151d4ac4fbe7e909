"""What is asked of a model that shall rewrite a PyTorch module with CUDA kernels."""

KERNEL_PROMPT = """\
Rewrite a PyTorch module so that it runs faster on an NVIDIA GPU, by replacing operators with CUDA
kernels of your own. You choose which operators to replace; you may fuse several into one kernel and
change the algorithm, as long as the results stay the same.

An example. This module adds two tensors:

```python
import torch
import torch.nn as nn


class Model(nn.Module):
    def forward(self, a, b):
        return a + b


def get_inputs():
    return [torch.randn(8, 256).cuda(), torch.randn(8, 256).cuda()]


def get_init_inputs():
    return []
```

It can be rewritten with an inline extension:

```python
import torch
import torch.nn as nn
from torch.utils.cpp_extension import load_inline

CUDA = r\"\"\"
#include <torch/extension.h>

__global__ void sum_kernel(const float* a, const float* b, float* out, int n) {{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = a[i] + b[i];
}}

torch::Tensor sum(torch::Tensor a, torch::Tensor b) {{
    auto out = torch::empty_like(a);
    int n = a.numel();
    sum_kernel<<<(n + 255) / 256, 256>>>(
        a.data_ptr<float>(), b.data_ptr<float>(), out.data_ptr<float>(), n);
    return out;
}}
\"\"\"

extension = load_inline(
    name="tensor_sum",
    cpp_sources="torch::Tensor sum(torch::Tensor a, torch::Tensor b);",
    cuda_sources=CUDA,
    functions=["sum"],
)


class ModelNew(nn.Module):
    def forward(self, a, b):
        return extension.sum(a, b)
```

The module to rewrite:

```python
{question}
```

All tensors are 32-bit floats. Name the rewritten class `ModelNew`. Answer with one complete code
block that holds real, compiling code, and nothing else: no explanation and no tests."""
