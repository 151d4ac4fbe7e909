"""What members of a merge have in common, and what must be said of it."""

from collections.abc import Sequence

import numpy as np
from absl import logging

from moco_jax.models.config import ModelConfig, other_settings
from moco_jax.pool import Member
from moco_jax.trees.angles import PARALLEL, mean_cosine, task_vector_products


def one_structure(members: Sequence[Member]) -> list[Member]:
    """Members whose trees have the same leaves: where one has an output layer, all have."""
    if all(member.config.tie_embeddings for member in members):
        return list(members)
    return [member.untied() for member in members]


def remarks(method: str, members: Sequence[Member], base: Member | None) -> list[str]:
    """What the result of a merge says of its members; each is logged as well.

    Args:
        method: who merges.
        members: what is merged.
        base: of their task vectors, or None.
    """
    others = [*members, *([base] if base else [])]
    found = differing([one.name for one in others], [one.config for one in others])
    if base is not None:
        params = [one.params for one in one_structure(others)]
        found += parallel(base.name, task_vector_products(params[:-1], params[-1]))
    for text in found:
        logging.warning("%s: %s", method, text)
    return found


def differing(names: Sequence[str], configs: Sequence[ModelConfig]) -> list[str]:
    """Settings in which models that are merged differ from the first, whose are taken."""
    found = []
    for name, config in zip(names[1:], configs[1:], strict=True):
        settings = other_settings(configs[0], config)
        if settings:
            what = ", ".join(settings)
            found.append(f"{name} differs from {names[0]} in {what}; the first one's are taken")
    return found


def parallel(base: str, products: np.ndarray) -> list[str]:
    """What is to be said of task vectors with these inner products f64[N, N]."""
    cosine = mean_cosine(products)
    if cosine is None or cosine < PARALLEL:
        return []
    return [
        f"the task vectors are nearly parallel (mean cosine {cosine:.2f}): {base} is probably not "
        "the model they were tuned from, and most of what is merged is the way from it to that "
        "model; pass that model as the base"
    ]
