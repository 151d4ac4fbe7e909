"""Dummy members that write words, and what they predict without a cache."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from moco_jax import testing
from moco_jax.models.decoder import forward, unembed
from moco_jax.pool import Member, Pool

LONGEST = 512


def wordy(member, seed):
    """A member that says many spaces and whole characters, ends late, and is seldom sure."""
    head = member.params["lm_head"]["kernel"]
    words = member.tokenizer
    say = jnp.array(words.convert_tokens_to_ids(["Ġ", "Ċ", "a", "b"]))
    noise = jax.random.normal(jax.random.key(seed), (head.shape[1], 4))
    head = head.at[say].add(2 * noise.T)
    head = head.at[words.eos_token_id].mul(0.3)
    parts = [token for token in range(len(words)) if words.decode([token]) == "\ufffd"]
    head = head.at[jnp.array(parts)].set(0)
    params = {**member.params, "lm_head": {"kernel": head}}
    return Member(member.info, params, f"{member.identity} {seed}")


def wordy_pool(count):
    """A pool of them."""
    return Pool([wordy(one, number) for number, one in enumerate(testing.dummy_pool(count))])


def predict(member, tokens):
    """Probabilities of the next token, f32[V], in a full forward pass without a cache."""
    padded = np.zeros(LONGEST, np.int32)
    padded[: len(tokens)] = tokens
    return np.asarray(_chances(member.config, member.params, padded, len(tokens)))


@functools.partial(jax.jit, static_argnums=0)
def _chances(config, params, tokens, length):
    places = jnp.arange(len(tokens))
    places = jnp.where(places < length, places, -1)
    hidden, _ = forward(config, params, tokens[None], places[None])
    return jax.nn.softmax(unembed(config, params, hidden[0, length - 1]))
