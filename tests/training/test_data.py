import itertools

import numpy as np
import pytest

from moco_jax.training.data import DataSettings, Tokenized, batch_dataset, batches_of, pad


def tokenized(prompt: int, answer: int, first: int = 10) -> Tokenized:
    return Tokenized(list(range(first, first + prompt + answer)), prompt)


def test_padding_shifts_by_one_and_weighs_the_answer_alone():
    batch = pad([tokenized(3, 2)], rows=2, length=6)
    np.testing.assert_array_equal(batch.tokens[0], [10, 11, 12, 13, 0, 0])
    np.testing.assert_array_equal(batch.targets[0], [11, 12, 13, 14, 0, 0])
    np.testing.assert_array_equal(batch.weights[0], [0, 0, 1, 1, 0, 0])
    np.testing.assert_array_equal(batch.positions[0], [0, 1, 2, 3, -1, -1])
    assert (batch.positions[1] == -1).all() and not batch.weights[1].any()


def test_buckets_keep_every_example_and_few_shapes():
    settings = DataSettings(tokens_per_batch=32, lengths=(4, 8), block=10)
    examples = [tokenized(2, 1 + size % 6, first=100 * size) for size in range(10)]
    batches = batches_of(examples, settings)
    assert {batch.tokens.shape for batch in batches} == {(8, 4), (4, 8)}
    firsts = sorted(
        int(row[0]) for batch in batches for row in batch.tokens[batch.positions[:, 0] == 0]
    )
    assert firsts == [100 * size for size in range(10)]


def test_too_long_an_example_is_refused_with_its_length():
    with pytest.raises(ValueError, match="has 9 tokens; the longest bucket takes 5"):
        batches_of([tokenized(4, 5)], DataSettings(lengths=(4,)))


def make(seed: int = 3):
    settings = DataSettings(seed=seed, tokens_per_batch=16, lengths=(4, 8), block=8)
    return batch_dataset(range(20), lambda index: tokenized(2, 1 + index % 5, index), settings)


def test_the_pipeline_is_deterministic_and_depends_on_its_seed():
    first, again = (list(itertools.islice(make(), 12)) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.tokens, other.tokens)
    other_seed = list(itertools.islice(make(4), 12))
    assert any(
        a.tokens.shape != b.tokens.shape or (a.tokens != b.tokens).any()
        for a, b in zip(first, other_seed, strict=True)
    )


def test_a_restored_iterator_goes_on_where_it_stood():
    iterator = iter(make())
    for _ in range(5):
        next(iterator)
    state = iterator.get_state()
    expected = [next(iterator) for _ in range(7)]
    fresh = iter(make())
    fresh.set_state(state)
    for batch in expected:
        found = next(fresh)
        np.testing.assert_array_equal(found.tokens, batch.tokens)
        np.testing.assert_array_equal(found.weights, batch.weights)
