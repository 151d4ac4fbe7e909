"""Merges checkpoints from disk to disk, in the memory of a few pieces of tensors.

    python experiments/merge.py --method=ties --models=a,b,c --base=d --out=merged \\
        --set density=0.5 --set lambda_=0.8

The method is a row of `trees.TASK_VECTOR_MERGES`, or linear, slerp, karcher or model_stock, with or
without `weight_` before it; what `--set` takes are the fields of its rule.
"""

import dataclasses
import difflib
import json
import pathlib
from collections.abc import Sequence

from absl import app, flags

from moco_jax.methods.weight.disk import merge_checkpoints
from moco_jax.pool import inspect
from moco_jax.trees import TASK_VECTOR_MERGES, Karcher, Linear, ModelStock, Slerp, TiledMerge

PREFIX = "weight_"
DTYPES = ("float32", "bfloat16", "float16")
RULES: dict[str, TiledMerge] = {
    **TASK_VECTOR_MERGES,
    "karcher": Karcher(),
    "linear": Linear(),
    "model_stock": ModelStock(),
    "slerp": Slerp(),
}
NAMES = sorted([*RULES, *(f"{PREFIX}{name}" for name in RULES)])

_METHOD = flags.DEFINE_enum("method", "average", NAMES, "How tensors are merged.")
_MODELS = flags.DEFINE_list("models", [], "tiny:<name>, directories or hub ids of what is merged.")
_BASE = flags.DEFINE_string("base", None, "What they were tuned from, where the method needs it.")
_OUT = flags.DEFINE_string("out", None, "Directory of the result; it must not exist.")
_SET = flags.DEFINE_multi_string("set", [], "A setting of the rule, name=value.")
_DTYPE = flags.DEFINE_enum(
    "dtype", None, DTYPES, "Dtype of the result; the first model's if unset."
)
_SEED = flags.DEFINE_integer("seed", 0, "Of random masks.")


def settings(rule: TiledMerge, given: Sequence[str]) -> dict[str, object]:
    known = {field.name for field in dataclasses.fields(rule)}  # type: ignore[arg-type]
    found: dict[str, object] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if name not in known or not equals:
            near = difflib.get_close_matches(name, known, 1) if name not in known else []
            hint = f"did you mean {near[0]}? " if near else ""
            raise ValueError(
                f"--set {text}: {hint}Settings here are {', '.join(sorted(known)) or 'none'}, as "
                f"in --set {min(known, default='name')}=VALUE"
            )
        try:
            parsed = json.loads(value)
        except ValueError:
            parsed = value
        found[name] = tuple(parsed) if isinstance(parsed, list) else parsed
    return found


def made(method: str, given: Sequence[str], count: int) -> TiledMerge:
    """The rule with its settings, checked for so many models."""
    rule = RULES[method]
    try:
        rule = dataclasses.replace(rule, **settings(rule, given))  # type: ignore[type-var]
        if not rule.gram:
            rule.coefficients(count, None)
    except (TypeError, ValueError) as error:
        raise ValueError(f"--method={method}: {error}") from error
    return rule


def place(name: str) -> str:
    """Where the files of a whole model stand."""
    info = inspect(name)
    if info.adapter is not None:
        raise ValueError(
            f"{name} is a LoRA adapter over {info.path}, and files are merged tensor by tensor; "
            f'write it as a whole model first: moco_jax.Pool.load(["{name}"])[0].save(PATH), or '
            "merge adapters with moco run"
        )
    return info.path


def merge(
    method: str,
    models: Sequence[str],
    base: str | None,
    out: str | None,
    given: Sequence[str] = (),
    dtype: str | None = None,
    seed: int = 0,
) -> None:
    """Merges; raises ValueError before anything is written if it cannot."""
    method = method.removeprefix(PREFIX)
    if not out:
        raise ValueError("name the directory of the result with --out=DIRECTORY")
    if pathlib.Path(out).exists():
        raise ValueError(f"--out={out} exists; name another directory, or move it away")
    if not models:
        raise ValueError("there is nothing to merge; name checkpoints with --models=a,b,c")
    if method == "slerp" and len(models) != 2:
        raise ValueError(f"--method=slerp merges two models, and --models names {len(models)}")
    rule = made(method, given, len(models))
    if rule.origin == "base" and base is None:
        raise ValueError(
            f"--method={method} merges what models changed in a base; name it with --base=MODEL"
        )
    places = [place(name) for name in models]
    start = None if base is None else place(base)
    merge_checkpoints(places, start, rule, out, dtype=dtype, seed=seed)


def main(_: list[str]) -> None:
    try:
        asked = _METHOD.value, _MODELS.value, _BASE.value, _OUT.value
        merge(*asked, _SET.value, _DTYPE.value, _SEED.value)
    except (ValueError, OSError) as error:
        raise SystemExit(f"merge.py: {error}") from None
    print(_OUT.value)


if __name__ == "__main__":
    app.run(main)
