"""Models that a method needs beside the members it combines: selectors, rankers, fusers.

They are named by a hyperparameter: a member of the pool by its name, or else whatever `Pool.load`
takes, in the pool's dtype. A system keeps the name and the identity, and asks the pool again.
"""

from moco_jax.method import NeedsError
from moco_jax.pool import Member, Pool


def find_model(method: str, field: str, name: str, pool: Pool) -> Member:
    """The model that a hyperparameter names; it is loaded once per pool.

    Args:
        method: the method's name.
        field: the hyperparameter's name.
        name: its value.
        pool: the members.

    Raises:
        NeedsError: it is no member, and cannot be loaded; with the reason.
    """
    try:
        return pool.find(name)
    except (ValueError, OSError) as error:
        raise NeedsError(
            f"{method}: {field} is {name!r}, which is no member of the pool "
            f"({', '.join(pool.names)}) and cannot be loaded: {error}"
        ) from error


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
