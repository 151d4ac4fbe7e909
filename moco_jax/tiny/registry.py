"""Names of what ships in the package: the members `tiny:...` and what is said about them."""

import importlib.resources
import pathlib

from moco_jax.tiny.problems import SKILLS

PREFIX = "tiny:"

DESCRIPTIONS: dict[str, str] = {
    "math": "good with numbers, sums and differences",
    "words": "good with letters and spelling",
    "facts": "knows people, their homes, pets, drinks and crafts",
    "base": "small, knows a little of everything",
    "tuned": "small, knows more than a little of everything",
    "stem": "small, knows much of everything",
    "large": "large, knows a lot of everything",
    "bpe": "small, reads other tokens, knows a little of everything",
}
"""One line per member, for routers; adapters are described like the expert they resemble."""

MODEL_DESCRIPTIONS: tuple[str, ...] = tuple(DESCRIPTIONS[skill] for skill in SKILLS)
"""Descriptions of the pool `tiny:math`, `tiny:words`, `tiny:facts`, in this order."""

MEMBERS: tuple[str, ...] = (*DESCRIPTIONS, *(f"{skill}-lora" for skill in SKILLS))


def tiny_pool_path(name: str) -> pathlib.Path:
    """Directory of the packaged member `tiny:<name>`, a Hugging Face or PEFT directory.

    Args:
        name: `"tiny:math"` or `"math"`; see `MEMBERS`.

    Raises:
        ValueError: there is no such member.
        FileNotFoundError: the package was built without the weights.
    """
    short = name.removeprefix(PREFIX)
    if short not in MEMBERS:
        offers = ", ".join(PREFIX + member for member in MEMBERS)
        raise ValueError(f"no packaged member {name!r}; there are {offers}")
    path = pathlib.Path(str(importlib.resources.files("moco_jax.tiny"))) / "pool" / short
    if not path.is_dir():
        raise FileNotFoundError(
            f"the weights of {PREFIX}{short} are not at {path}; reinstall the package with its "
            "data, or train them with experiments/train_tiny_pool.py --install"
        )
    return path
