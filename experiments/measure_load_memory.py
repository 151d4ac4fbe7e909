"""Measures the anonymous host memory that loading a checkpoint takes.

Writes a checkpoint of random weights into a temporary directory, loads it in a fresh process and
prints the peak of anonymous memory above the baseline, over the bytes of the loaded params. On CPU
the params themselves are host memory, so 1.0 is the floor.

    python experiments/measure_load_memory.py --disk_dtype=bfloat16 --dtype=float32
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time

import jax
import ml_dtypes
import numpy as np
from absl import app, flags

from moco_jax.models.checkpoint import load_checkpoint, write_checkpoint
from moco_jax.models.config import ModelConfig
from moco_jax.models.cost import count_params

_DTYPE = flags.DEFINE_string("dtype", "float32", "Dtype of the loaded params.")
_DISK_DTYPE = flags.DEFINE_string("disk_dtype", "float32", "Dtype of the checkpoint on disk.")
_TIED = flags.DEFINE_bool("tied", True, "Whether the output layer is the embedding.")
_SHARD_BYTES = flags.DEFINE_integer("max_shard_bytes", 5 * 10**9, "Largest file.")
_LOAD = flags.DEFINE_string("load", None, "Only load this directory and print the figures.")


def _write(directory: pathlib.Path) -> None:
    raw = {
        "model_type": "qwen2",
        "vocab_size": 151_936,
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 26,
        "num_attention_heads": 16,
        "num_key_value_heads": 4,
        "tie_word_embeddings": _TIED.value,
    }
    dtype = np.dtype(getattr(ml_dtypes, _DISK_DTYPE.value, _DISK_DTYPE.value))
    rng = np.random.default_rng(0)
    print(f"parameters: {count_params(ModelConfig.from_hf(raw)) / 1e6:.0f} M")
    write_checkpoint(
        directory,
        raw,
        lambda spec: rng.standard_normal(spec.shape, np.float32).astype(dtype),
        lambda spec: dtype,
        max_shard_bytes=_SHARD_BYTES.value,
    )


def _anonymous_bytes() -> int:
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+) kB", status)[1]) * 1024


def _load(directory: str) -> None:
    # JAX's own start is part of the baseline
    jax.block_until_ready(jax.numpy.ones(()))
    baseline, peak, done = _anonymous_bytes(), 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.is_set():
            peak = max(peak, _anonymous_bytes())
            time.sleep(0.002)

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.monotonic()
    params = load_checkpoint(directory, _DTYPE.value).params
    seconds = time.monotonic() - start
    done.set()
    watcher.join()
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(params))
    figures = {"target_bytes": size, "peak_bytes": peak - baseline, "seconds": round(seconds, 1)}
    print(json.dumps(figures | {"ratio": round((peak - baseline) / size, 3)}))


def main(_: list[str]) -> None:
    """Writes, then loads in a process of its own."""
    if _LOAD.value:
        return _load(_LOAD.value)
    with tempfile.TemporaryDirectory() as folder:
        directory = pathlib.Path(folder) / "checkpoint"
        _write(directory)
        command = [sys.executable, __file__, f"--load={directory}", f"--dtype={_DTYPE.value}"]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    app.run(main)
