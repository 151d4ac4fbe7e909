"""What the hyperparameters of a method are and mean, read from its fields and docstrings."""

import dataclasses
import inspect
import re

from moco_jax.method import Method

_ATTRIBUTE = re.compile(r"^    (\w+): (.*)$")


@dataclasses.dataclass(frozen=True)
class Setting:
    """One hyperparameter.

    Attributes:
        name: what `--set` takes.
        default: as Python writes it, or "(has to be given)".
        meaning: from the docstring; "" where it says nothing.
    """

    name: str
    default: str
    meaning: str


def settings_of(kind: type[Method]) -> list[Setting]:
    """The hyperparameters of a method: those that have to be given, its own, inherited ones."""
    meanings = {name: text for base in reversed(kind.__mro__) for name, text in _documented(base)}
    own = inspect.get_annotations(kind)

    def given(field: dataclasses.Field) -> bool:
        return field.default is dataclasses.MISSING

    return [
        Setting(
            field.name,
            "(has to be given)" if given(field) else repr(field.default),
            meanings.get(field.name, ""),
        )
        for field in sorted(
            dataclasses.fields(kind), key=lambda one: (not given(one), one.name not in own)
        )
    ]


def _documented(kind: type) -> list[tuple[str, str]]:
    """(name, text) of the section "Attributes" in a class's own docstring."""
    section = inspect.cleandoc(kind.__dict__.get("__doc__") or "").partition("Attributes:\n")[2]
    found: list[tuple[str, str]] = []
    for line in section.splitlines():
        if attribute := _ATTRIBUTE.match(line):
            found.append((attribute[1], attribute[2]))
        elif found and line.startswith("     "):
            name, text = found[-1]
            found[-1] = name, f"{text} {line.strip()}"
        else:
            break
    return found
