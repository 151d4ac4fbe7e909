"""A text encoder known by its files first, loaded when there is something to embed."""

import jax
import jax.numpy as jnp

from moco_jax.decoding.hooks import Store
from moco_jax.models.checkpoint_files import fetch, files_state, read_raw_config
from moco_jax.models.encoder import EncoderConfig, SentenceEncoder, load_encoder
from moco_jax.models.identity import fingerprint
from moco_jax.models.tokenizer import tokenizer_fingerprint
from moco_jax.pool import default_dtype
from moco_jax.runs.members import files_key


class Encoders:
    """One encoder whose weights are read when they are first needed, and then kept."""

    def __init__(self, encoder: str | SentenceEncoder, dtype: str | None = None):
        """Takes a loaded encoder, or a source whose config is read now.

        Raises:
            ValueError: the source is no encoder that can be loaded.
        """
        self._encoder = encoder if isinstance(encoder, SentenceEncoder) else None
        self._source = encoder if isinstance(encoder, str) else ""
        if self._encoder is None:
            # Weights come later, but what cannot work is said before anything is computed
            EncoderConfig.from_hf(read_raw_config(fetch(self._source)))
            self.dtype = str(jnp.dtype(dtype) if dtype else default_dtype())
        else:
            self.dtype = str(jax.tree.leaves(self._encoder.params)[0].dtype)

    def load(self, store: Store) -> list[SentenceEncoder]:
        """The encoder with its weights; its identity is noted for the next time."""
        if self._encoder is None:
            self._encoder = load_encoder(self._source, self.dtype)
            store.put(self._key(), {"identity": identity_of(self._encoder)})
        return [self._encoder]

    def identities(self, store: Store) -> list[str]:
        """The identity; weights whose files have not changed since are not read for it."""
        if self._encoder is None:
            record = store.get(self._key())
            if record is not None:
                return [record["identity"]]
        return [identity_of(self.load(store)[0])]

    def _key(self) -> str:
        return files_key([files_state(self._source)], self.dtype)


def identity_of(encoder: SentenceEncoder) -> str:
    """Hash (hex) of tensors, config and tokenizer."""
    return fingerprint(encoder.params, encoder.config, tokenizer_fingerprint(encoder.tokenizer))
