"""Merging from disk to disk against mergekit: seconds and peak memory on the same files.

    python experiments/bench_merging.py --size=500M --repeats=5

Four models that were tuned from one base are merged by each side in a process of its own. Memory is
the most anonymous memory the process held; pages of mapped files, which the system can drop, are
not in it. Files are read from the page cache where it holds them.
"""

import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zlib

from absl import app, flags

_SIZE = flags.DEFINE_string("size", "500M", "Parameters of a model.")
_MODELS = flags.DEFINE_integer("models", 4, "Models that are merged.")
_DTYPE = flags.DEFINE_enum("dtype", "float32", ["float32", "bfloat16"], "Dtype on disk.")
_METHODS = flags.DEFINE_list("methods", ["average", "ties", "dare_ties"], "How they are merged.")
_WORK = flags.DEFINE_string("work", None, "Folder for the checkpoints; kept. Default: temporary.")
_REPEATS = flags.DEFINE_integer("repeats", 5, "Merges by each side.")
_QUICK = flags.DEFINE_bool("quick", False, "Only see that it runs.")
_JSON = flags.DEFINE_string("json", None, "Where to write the table.")
_CHILD = flags.DEFINE_list("child", None, "Merge once: side, method, output.")

DENSITY = {"ties": 0.2, "dare_ties": 0.5}
SIDES = ("mergekit", "moco_jax")


def folders(work: pathlib.Path) -> list[pathlib.Path]:
    """The base and the models."""
    return [work / f"model-{index}" for index in range(_MODELS.value + 1)]


def make(work: pathlib.Path) -> None:
    """Writes what is not there yet: a random base, and models a little off it."""
    import ml_dtypes
    import numpy as np

    from moco_jax.models.checkpoint import write_checkpoint
    from moco_jax.models.families import TensorSpec
    from moco_jax.testing import sized

    member = sized.sized_member(sized.SIZES["tiny"])
    size = sized.SIZES["tiny" if _QUICK.value else _SIZE.value]
    raw = member.info.raw_config | {
        "vocab_size": size.vocab_size,
        "hidden_size": size.hidden_size,
        "intermediate_size": size.hidden_size * 11 // 4,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.hidden_size // 64,
        "num_key_value_heads": size.hidden_size // 256,
    }
    dtype = np.dtype(getattr(ml_dtypes, _DTYPE.value, _DTYPE.value))

    def noise(spec: TensorSpec, seed: int) -> np.ndarray:
        rng = np.random.default_rng([seed, zlib.crc32(spec.name.encode())])
        return rng.standard_normal(spec.shape, np.float32)

    for index, folder in enumerate(folders(work)):
        if folder.exists():
            continue

        def read(spec: TensorSpec, index: int = index) -> np.ndarray:
            leaf = 0.02 * noise(spec, 0)
            return (leaf + 0.002 * noise(spec, index) if index else leaf).astype(dtype)

        tokenizer = sized.word_tokenizer(size.vocab_size)
        write_checkpoint(folder, raw, read, lambda spec: dtype, tokenizer=tokenizer)


def merge_here(method: str, base: str, models: list[str], out: str) -> None:
    """Ours."""
    import dataclasses

    from moco_jax.methods.weight.disk import merge_checkpoints
    from moco_jax.trees import TASK_VECTOR_MERGES

    rule = TASK_VECTOR_MERGES[method]
    rule = dataclasses.replace(rule, density=DENSITY.get(method, 1.0))
    merge_checkpoints(models, None if method == "average" else base, rule, out)


def merge_there(method: str, base: str, models: list[str], out: str) -> None:
    """Mergekit's, by its own default options."""
    from mergekit.config import MergeConfiguration
    from mergekit.merge import run_merge
    from mergekit.options import MergeOptions

    each = {"weight": 1 / len(models)}
    each |= {"density": DENSITY[method]} if method in DENSITY else {}
    recipe = {
        "merge_method": "linear" if method == "average" else method,
        "models": [{"model": model, "parameters": each} for model in models],
        "dtype": _DTYPE.value,
    }
    if method != "average":
        recipe["base_model"] = base
    run_merge(MergeConfiguration.model_validate(recipe), out, MergeOptions(quiet=True))


def child(side: str, method: str, out: str) -> None:
    base, *models = map(str, folders(pathlib.Path(_WORK.value)))
    merge = {"moco_jax": merge_here, "mergekit": merge_there}[side]
    merge(method, base, models, out)


def anonymous_bytes(pid: int) -> int:
    """Anonymous memory of a process; 0 once it has ended."""
    try:
        lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon")), 0)


def run(work: pathlib.Path, side: str, method: str) -> dict[str, float]:
    """Seconds and peak bytes of one merge in a fresh process."""
    out = work / "merged"
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, __file__, f"--child={side},{method},{out}", f"--work={work}"]
    command += [f"--models={_MODELS.value}", f"--dtype={_DTYPE.value}"]
    start, peak = time.perf_counter(), 0
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        while process.poll() is None:
            peak = max(peak, anonymous_bytes(process.pid))
            time.sleep(0.005)
        took = time.perf_counter() - start
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"{side} failed at {method}: {said.read().decode()[-2000:]}")
    shutil.rmtree(out, ignore_errors=True)
    return {"seconds": took, "peak": peak}


def measure(work: pathlib.Path, method: str) -> dict[str, object]:
    """Both sides in turns."""
    found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for _ in range(1 if _QUICK.value else _REPEATS.value):
        for side in SIDES:
            found[side].append(run(work, side, method))

    def median(side: str, name: str) -> float:
        return statistics.median(one[name] for one in found[side])

    theirs, ours = (median(side, "seconds") for side in SIDES)
    much, little = (median(side, "peak") for side in SIDES)
    return {
        "merge": method,
        "mergekit, s": theirs,
        "moco_jax, s": ours,
        "times as fast": theirs / ours,
        "mergekit, peak MB": much / 1e6,
        "moco_jax, peak MB": little / 1e6,
        "share of its memory": little / much,
    }


def main(_: list[str]) -> None:
    if _CHILD.value:
        return child(*_CHILD.value)
    from moco_jax.analysis.bench_page import Section, publish, table_of
    from moco_jax.testing import timing

    with tempfile.TemporaryDirectory() as temporary:
        work = pathlib.Path(_WORK.value or temporary)
        make(work)
        rows = []
        for method in _METHODS.value:
            rows.append(measure(work, method))
            print(rows[-1], flush=True)
    print(publish([Section("merging", table_of(rows), timing.machine())], _JSON.value))


if __name__ == "__main__":
    app.run(main)
