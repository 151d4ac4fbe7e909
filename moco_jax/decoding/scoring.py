"""Log-probabilities of given text."""

from collections.abc import Iterator, Sequence

import numpy as np

from moco_jax.decoding import loop
from moco_jax.decoding.buckets import PREFILL_ROWS, power_bucket
from moco_jax.decoding.groups import Group, Weights


def score_rows(
    group: Group, weights: Weights, rows: Sequence[tuple[np.ndarray, np.ndarray]]
) -> Iterator[tuple[int, np.ndarray]]:
    """Scores continuations, yielding (row, f32[n] log-probability of each continuation token).

    Args:
        group: a single parameter set.
        weights: its arrays.
        rows: (prompt i32[p], continuation i32[n]) with p at least 1.

    A row's shapes follow from its own length, and a fixed number of rows run together, so a score
    does not depend on the other rows.
    """
    buckets: dict[int, list[int]] = {}
    for index, (prompt, continuation) in enumerate(rows):
        buckets.setdefault(power_bucket(len(prompt) + len(continuation)), []).append(index)
    for size, indices in sorted(buckets.items()):
        for first in range(0, len(indices), PREFILL_ROWS):
            part = indices[first : first + PREFILL_ROWS]
            tokens = np.zeros((PREFILL_ROWS, size), np.int32)
            positions = np.full((PREFILL_ROWS, size), -1, np.int32)
            for row, index in enumerate(part):
                text = np.concatenate(rows[index])
                tokens[row, : len(text)] = text
                positions[row, : len(text)] = np.arange(len(text))
            found = np.asarray(loop.token_logprobs(group, weights, tokens, positions))
            for row, index in enumerate(part):
                prompt, continuation = rows[index]
                yield index, found[row, len(prompt) : len(prompt) + len(continuation)]
