"""How close decoding comes to what the machine can do at best.

    python experiments/bench_roofline.py --sizes=50M,500M --batches=1,8,32

The roof of a step is the larger of two times: bytes of weights and cache over the read bandwidth,
and FLOPs over the rate of the same matrix products at the same number of rows. Both rates are
measured here; `with torch` takes the rate of PyTorch's products where that is higher. A step's
time is what a longer answer takes more than a shorter one, divided by the difference in tokens.
"""

import statistics

import jax
import numpy as np
from absl import app, flags

from moco_jax.analysis.bench_page import Section, publish, table_of
from moco_jax.decoding.engine import Engine
from moco_jax.decoding.types import Request, Sampling
from moco_jax.pool import Member
from moco_jax.testing import roofline, sized, timing

_SIZES = flags.DEFINE_list("sizes", ["50M", "500M"], "Sizes of the model.")
_BATCHES = flags.DEFINE_list("batches", ["1", "8", "32"], "Rows decoded together.")
_PROMPT = flags.DEFINE_integer("prompt", 64, "Tokens of a prompt.")
_SHORT = flags.DEFINE_integer("short", 16, "Tokens of the shorter answer.")
_LONG = flags.DEFINE_integer("long", 48, "Tokens of the longer one; both in one size of cache.")
_REPEATS = flags.DEFINE_integer("repeats", 5, "Warm runs of each length.")
_TORCH = flags.DEFINE_bool("torch", True, "Measure PyTorch's matrix products as well.")
_QUICK = flags.DEFINE_bool("quick", False, "Only see that it runs.")
_JSON = flags.DEFINE_string("json", None, "Where to write the table.")


def step_seconds(member: Member, batch: int) -> float:
    texts = sized.word_prompts(member.config.vocab_size, batch, _PROMPT.value)
    requests = [Request.user(text) for text in texts]

    def ask(count: int) -> None:
        sampling = Sampling(max_new_tokens=count, temperature=0.0)
        Engine(width=batch, chunk=64).ask([member] * batch, requests, sampling)

    lengths = {"short": _SHORT.value, "long": _LONG.value}
    actions = {name: lambda count=count: ask(count) for name, count in lengths.items()}
    found = timing.side_by_side(actions, _REPEATS.value)
    more = _LONG.value - _SHORT.value
    pairs = zip(found["long"].warm, found["short"].warm, strict=True)
    return statistics.median(long - short for long, short in pairs) / more


def torch_rate(weights: list[jax.Array], batch: int) -> float:
    import torch

    shapes = [torch.from_numpy(np.array(weight)) for weight in weights]
    inputs = {weight.shape[1]: torch.ones(batch, weight.shape[1]) for weight in shapes}

    def multiply() -> None:
        for weight in shapes:
            torch.nn.functional.linear(inputs[weight.shape[1]], weight)

    with torch.inference_mode():
        multiply()
        best = min(timing.seconds(multiply) for _ in range(roofline.TRIES))
    return 2 * batch * sum(weight.numel() for weight in shapes) / best


def measure(member: Member, batch: int) -> dict[str, object]:
    weights = roofline.matrices(member.params)
    context = _PROMPT.value + (_SHORT.value + _LONG.value) // 2
    size = roofline.decode_bytes(member.config, member.params, batch, context)
    flops = roofline.decode_flops(member.config, batch, context)
    bandwidth = roofline.read_bandwidth(int(size))
    rate = roofline.matmul_rate(weights, batch)
    best = max(rate, torch_rate(weights, batch)) if _TORCH.value else rate
    step = step_seconds(member, batch)
    return {
        "batch": batch,
        "step, ms": 1e3 * step,
        "reads, GB/s": bandwidth / 1e9,
        "products, GFLOP/s": rate / 1e9,
        "roof, ms": 1e3 * max(size / bandwidth, flops / rate),
        "share of the roof": f"{max(size / bandwidth, flops / rate) / step:.0%}",
        "best products, GFLOP/s": best / 1e9,
        "share with torch": f"{max(size / bandwidth, flops / best) / step:.0%}",
    }


def main(_: list[str]) -> None:
    sizes, batches = _SIZES.value, [int(batch) for batch in _BATCHES.value]
    if _QUICK.value:
        sizes, batches = ["tiny"], [2]
    rows = []
    for name in sizes:
        member = sized.sized_member(sized.SIZES[name])
        for batch in batches:
            rows.append({"size": name} | measure(member, batch))
            print(rows[-1], flush=True)
    print(publish([Section("roofline", table_of(rows), timing.machine())], _JSON.value))


if __name__ == "__main__":
    app.run(main)
