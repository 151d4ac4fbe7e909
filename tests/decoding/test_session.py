"""Sessions against texts generated and scored from the start."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from moco_jax.decoding.session import Session
from moco_jax.decoding.types import Sampling
from moco_jax.pool import variants
from moco_jax.testing import dummy_member

GREEDY = Sampling(temperature=0, max_new_tokens=8)
MEMBER = dummy_member("a", 0)


@pytest.fixture
def texts() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(4, 200, size).astype(np.int32) for size in (5, 19, 40)]


def greedy(texts, count=6):
    return [s.tokens.tolist() for s in Session(MEMBER, texts, 256).generate(count, GREEDY)]


def test_turns_equal_one_text(texts):
    whole = greedy(texts, 6)
    session = Session(MEMBER, texts, 128)
    first = session.generate(2, GREEDY)
    second = session.generate([4 if s.finish == 2 else 0 for s in first], GREEDY)
    parts = [a.tokens.tolist() + b.tokens.tolist() for a, b in zip(first, second, strict=True)]
    assert parts == whole


def test_appended_text_counts_as_read_from_the_start(texts):
    extra = [[7, 8, 9], [], [11]]
    session = Session(MEMBER, texts, 128)
    session.generate(2, GREEDY)
    session.append(extra)
    continued = [stream.tokens.tolist() for stream in session.generate(4, GREEDY)]
    again = [
        text[: len(text) - len(new)] for text, new in zip(session.texts, continued, strict=True)
    ]
    assert continued == greedy(again, 4)


def test_rewound_rows_forget(texts):
    session = Session(MEMBER, texts, 128)
    session.append([[50, 60, 70]] * 3)
    session.generate(3, GREEDY)
    session.rewind([len(text) for text in texts])
    assert [s.tokens.tolist() for s in session.generate(6, GREEDY)] == greedy(texts)


def test_forks_go_their_own_ways(texts):
    session = Session(MEMBER, texts, 128)
    fork = session.fork([1, 1, 0])
    fork.append([[9], [10, 11], []])
    expected = [np.append(texts[1], 9), np.append(texts[1], [10, 11]), texts[0]]
    assert [s.tokens.tolist() for s in fork.generate(5, GREEDY)] == greedy(expected, 5)
    assert [s.tokens.tolist() for s in session.generate(6, GREEDY)] == greedy(texts)


def test_members_of_a_stack_of_weights_fork_alike(texts):
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), MEMBER.params)
    one, _ = variants(MEMBER, ["x", "y"], ["x", "y"], params=stacked)
    fork = Session(one, texts, 128).fork([1, 1, 0])
    expected = greedy([texts[1], texts[1], texts[0]], 5)
    assert [s.tokens.tolist() for s in fork.generate(5, GREEDY)] == expected


def test_scores_chain(texts):
    session = Session(MEMBER, texts, 128)
    both = session.score([[5, 6, 7]] * 3)
    session.append([[5]] * 3)
    tail = session.score([[6, 7]] * 3)
    for whole, rest in zip(both, tail, strict=True):
        np.testing.assert_allclose(whole[1:], rest, atol=2e-5)
    generated = session.fork([0]).generate(3, GREEDY)[0]
    np.testing.assert_allclose(
        session.fork([0]).score([generated.tokens])[0], generated.logprobs, atol=2e-5
    )


def test_drawn_text_depends_on_seed_and_text_only(texts):
    drawn = Sampling(temperature=1.0, max_new_tokens=8)
    first = Session(MEMBER, texts, 128, seed=1).generate(6, drawn)
    second = Session(MEMBER, texts, 128, seed=1).generate(6, drawn)
    other = Session(MEMBER, texts, 128, seed=2).generate(6, drawn)
    assert [s.tokens.tolist() for s in first] == [s.tokens.tolist() for s in second]
    assert [s.tokens.tolist() for s in first] != [s.tokens.tolist() for s in other]


def test_room_is_checked_before_anything_changes(texts):
    session = Session(MEMBER, texts, 42)
    with pytest.raises(ValueError, match="row 2 would grow to 43 tokens; the session holds 42"):
        session.append([[1], [1], [1, 2, 3]])
    assert [len(text) for text in session.texts] == [5, 19, 40]
    with pytest.raises(ValueError, match="cannot rewind a row of 5 tokens to 9"):
        session.rewind([9, 1, 1])
    with pytest.raises(ValueError, match="exceeds the 1024"):
        Session(MEMBER, texts, 2048)


def test_a_row_does_not_depend_on_when_others_act(texts):
    together = Session(MEMBER, texts, 128, longest=8).generate(6, GREEDY)
    session = Session(MEMBER, texts, 128, longest=8)
    first = session.generate([0, 6, 0], GREEDY)
    last = session.generate([6, 0, 6], GREEDY)
    for row, whole in enumerate(together):
        part = (first if row == 1 else last)[row]
        assert part.tokens.tolist() == whole.tokens.tolist()
        assert part.logprobs.tobytes() == whole.logprobs.tobytes()
    assert len(first[0].tokens) == 0


def test_rows_may_be_written_anew(texts):
    session = Session(MEMBER, texts, 128)
    session.generate(3, GREEDY)
    other = np.concatenate([texts[1][:10], [40, 41]])
    assert session.rewrite(1, other) == 2
    assert session.generate([0, 6, 0], GREEDY)[1].tokens.tolist() == greedy([other] * 3)[0]
    assert session.rewrite(0, [9]) == 1
    with pytest.raises(ValueError, match="row 0 cannot hold 129 tokens"):
        session.rewrite(0, [1] * 129)


def test_rows_that_outgrow_their_cache_go_on_in_a_larger_one(texts):
    session = Session(MEMBER, texts, 600)
    extra = np.random.default_rng(1).integers(4, 200, 120).astype(np.int32)
    session.generate(2, GREEDY)
    session.append([[], extra, []])
    before = session.texts[1]
    assert session.generate([0, 6, 0], GREEDY)[1].tokens.tolist() == greedy([before] * 3)[0]
    (score,) = session.fork([1]).score([[5, 6]])
    (alone,) = Session(MEMBER, [session.texts[1]], 600).score([[5, 6]])
    np.testing.assert_allclose(score, alone, rtol=5e-7)
