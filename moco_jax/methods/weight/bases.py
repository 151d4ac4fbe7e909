"""The base of a merge, and what is merged over it."""

from collections.abc import Sequence

from moco_jax.method import NeedsError, Workbench
from moco_jax.pool import Member, MemberInfo


def merged_infos(
    method: str, infos: Sequence[MemberInfo], base: MemberInfo | None
) -> list[MemberInfo]:
    """The members of a pool that are not the base itself, before their weights are read.

    Raises:
        NeedsError: all are.
    """
    found = [info for info in infos if base is None or info.place != base.place]
    if not found:
        raise _nothing_to_merge(method, base)
    return found


def merged_members(method: str, bench: Workbench, base: Member | None) -> list[Member]:
    """The members of the pool that are not the base itself, by whatever name.

    Raises:
        NeedsError: all are.
    """
    members = [member for member in bench.pool if base is None or member.identity != base.identity]
    if not members:
        raise _nothing_to_merge(method, base)
    return members


def check_one_each(
    method: str, field: str, values: Sequence[float] | None, members: Sequence[MemberInfo]
) -> None:
    """Raises NeedsError unless there is one number for each member that is merged, or none."""
    if values is not None and len(values) != len(members):
        names = ", ".join(info.name for info in members)
        raise NeedsError(
            f"{method}: {field} is {list(values)!r}, and {len(members)} members are merged "
            f"({names}); give one number for each, in the order of the pool"
        )


def _nothing_to_merge(method: str, base: Member | MemberInfo | None) -> NeedsError:
    return NeedsError(
        f"{method} merges what members changed in their base, and the pool holds only the base "
        f"{base.name if base else ''}; add members with --models."
    )
