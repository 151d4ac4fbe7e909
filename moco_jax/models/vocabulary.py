"""Token ids and the rows of an embedding: the two need not be of one size."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def check_ids(tokens: Sequence[int] | np.ndarray, rows: int, tokenizer: Any, what: str) -> None:
    """Raises ValueError if a token has no row in the embedding, which would answer with noise.

    A tokenizer may know more tokens than the checkpoint; they do no harm until one is read.

    Args:
        tokens: ids.
        rows: of the embedding.
        tokenizer: names the token.
        what: holds them, for the message ("a prompt of tiny:math").
    """
    highest = max(tokens, default=-1) if isinstance(tokens, list) else np.max(tokens, initial=-1)
    if highest < rows:
        return
    token = next(int(token) for token in tokens if token >= rows)
    word = tokenizer.convert_ids_to_tokens(token)
    raise ValueError(
        f"{what} holds the token {word!r} with id {token}, and the checkpoint's embedding has "
        f"{rows} rows: its tokenizer knows tokens that the model was never given. Use the "
        "tokenizer that belongs to the checkpoint, a checkpoint with a resized embedding, or texts "
        "without this token."
    )
