"""What becomes of quoted texts that do not fit a context: some are left out, some lose a part."""

from collections.abc import Sequence

import numpy as np

from moco_jax.methods import prompts

CUT_TO = 6
"""Characters that stay of a text that is cut."""


def worn(texts: Sequence[str], needed: str, rng: np.random.Generator, share: float) -> list[str]:
    """The texts, for a `share` of all calls with one of them cut, or with others left out before.

    Args:
        texts: in the order in which they are quoted.
        needed: what has to stay readable at least once.
        rng: the only source of randomness.
        share: how often anything is missing at all.
    """
    left = list(texts)
    if rng.random() >= share:
        return left
    places = [place for place, text in enumerate(left) if text != needed]
    if left.count(needed) > 1:
        places += [left.index(needed)]
    if not places or rng.random() < 0.5:
        return [prompts.left_out(int(rng.integers(1, 4))), *left]
    cut = prompts.clip if rng.random() < 0.5 else prompts.without_middle
    place = places[rng.integers(len(places))]
    left[place] = cut(left[place], CUT_TO)
    return left
