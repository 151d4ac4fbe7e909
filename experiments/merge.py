"""Merges checkpoints from disk to disk, in the memory of a few pieces of tensors.

    python experiments/merge.py --method=ties --models=a,b,c --base=d --out=merged \\
        --set density=0.5 --set lambda_=0.8

The method is a row of `trees.TASK_VECTOR_MERGES`, or linear, slerp, karcher or model_stock; what
`--set` takes are the fields of its rule.
"""

import dataclasses
import json

from absl import app, flags

from moco_jax.methods.weight.disk import merge_checkpoints
from moco_jax.trees import TASK_VECTOR_MERGES, Karcher, Linear, ModelStock, Slerp, TiledMerge

RULES: dict[str, TiledMerge] = {
    **TASK_VECTOR_MERGES,
    "karcher": Karcher(),
    "linear": Linear(),
    "model_stock": ModelStock(),
    "slerp": Slerp(),
}

_METHOD = flags.DEFINE_enum("method", "average", sorted(RULES), "How tensors are merged.")
_MODELS = flags.DEFINE_list("models", [], "Directories or hub ids of what is merged.")
_BASE = flags.DEFINE_string("base", None, "What they were tuned from, where the method needs it.")
_OUT = flags.DEFINE_string("out", None, "Directory of the result.", required=True)
_SET = flags.DEFINE_multi_string("set", [], "A setting of the rule, name=value.")
_DTYPE = flags.DEFINE_string("dtype", None, "Dtype of the result; the first model's by default.")
_SEED = flags.DEFINE_integer("seed", 0, "Of random masks.")


def settings(rule: TiledMerge, given: list[str]) -> dict[str, object]:
    known = {field.name for field in dataclasses.fields(rule)}  # type: ignore[arg-type]
    found: dict[str, object] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if name not in known or not equals:
            raise app.UsageError(
                f"--set {text}: settings are {', '.join(sorted(known))}, as in "
                f"--set {min(known, default='name')}=VALUE"
            )
        try:
            parsed = json.loads(value)
        except ValueError:
            parsed = value
        found[name] = tuple(parsed) if isinstance(parsed, list) else parsed
    return found


def main(_: list[str]) -> None:
    rule = RULES[_METHOD.value]
    rule = dataclasses.replace(rule, **settings(rule, _SET.value))  # type: ignore[type-var]
    merge_checkpoints(
        _MODELS.value, _BASE.value, rule, _OUT.value, dtype=_DTYPE.value, seed=_SEED.value
    )
    print(_OUT.value)


if __name__ == "__main__":
    app.run(main)
