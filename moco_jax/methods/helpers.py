"""Models that a method uses beside the members it combines: bases, selectors, rankers, fusers.

`Method.helpers` names them, a member of the pool by its name, or else whatever `Pool.load` takes;
they are read in the pool's dtype. A system keeps name and identity, and asks the pool again.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from moco_jax.method import Method, NeedsError
from moco_jax.pool import Member, MemberInfo, Pool, inspect


class Helpers:
    """What is known of the helpers of many methods before weights are read; each is looked up once.

    Attributes:
        infos: the members of the pool.
    """

    def __init__(self, infos: Sequence[MemberInfo]):
        self.infos = tuple(infos)
        self._known: dict[str, MemberInfo] = {info.name: info for info in reversed(infos)}

    def of(self, method: Method) -> dict[str, MemberInfo]:
        """What is known of a method's helpers, by role; of one that is a member, its own info.

        Raises:
            NeedsError: one is no member and cannot be loaded, or does not go with the pool.
        """
        found = {role: self._find(method, role, name) for role, name in method.helpers().items()}
        method.check_helpers(self.infos, found)
        return found

    def beside(self, found: Mapping[str, MemberInfo]) -> list[MemberInfo]:
        """Those of some helpers that are no members, each once."""
        others = [info for info in found.values() if info not in self.infos]
        return list({info.place: info for info in others}.values())

    def _find(self, method: Method, role: str, name: str) -> MemberInfo:
        if name not in self._known:
            try:
                info = inspect(name)
            except (ValueError, OSError) as error:
                raise NeedsError(
                    f"{method.name}: {_field(method, name) or role} is {name!r}, which is no "
                    f"member of the pool ({', '.join(one.name for one in self.infos)}) and cannot "
                    f"be loaded: {error}"
                ) from error
            same = (one for one in self.infos if one.place == info.place)
            self._known[name] = next(same, info)
        return self._known[name]


def _field(method: Method, name: str) -> str:
    """The hyperparameter that names a helper; "" where none does."""
    for field in dataclasses.fields(method):
        value = getattr(method, field.name)
        if value == name or (isinstance(value, tuple) and name in value):
            return field.name
    return ""


def same_model(field: str, name: str, identity: str, pool: Pool) -> Member:
    """The model that a fitted system was made with.

    Raises:
        ValueError: what goes by that name now is another model.
    """
    found = pool.find(name)
    if found.identity != identity:
        raise ValueError(
            f"{field} {name} is not the model this system was fitted with: its weights, config or "
            "tokenizer changed; run the method again"
        )
    return found
