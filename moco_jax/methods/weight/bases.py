"""The base of a merge, and what is merged over it."""

from moco_jax.method import Needs, NeedsError, Workbench
from moco_jax.pool import Member, inspect


def find_base(method: str, name: str, bench: Workbench) -> Member:
    """The member of the pool called `name`, or else that model, loaded once as members are.

    Raises:
        NeedsError: its architecture is not the pool's.
    """
    if name not in bench.pool.names:
        infos = [bench.pool[0].info, inspect(name)]
        Needs(same_architecture=True).check(method, infos, bench.dev.items[0].kind)
    return bench.pool.find(name)


def merged_members(method: str, bench: Workbench, base: Member | None) -> list[Member]:
    """The members of the pool that are not the base itself, by whatever name.

    Raises:
        NeedsError: all are.
    """
    members = [member for member in bench.pool if base is None or member.identity != base.identity]
    if not members:
        raise NeedsError(
            f"{method} merges what members changed in their base, and the pool holds only the base "
            f"{base.name if base else ''}; add members with --models."
        )
    return members
