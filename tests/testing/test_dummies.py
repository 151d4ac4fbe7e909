"""What `moco_jax.testing` promises to users' own tests."""

import jax
import numpy as np
import pytest

from moco_jax import testing
from moco_jax.decoding.types import Request, Response, Sampling, Usage
from moco_jax.pool import Pool

GREEDY = Sampling(max_new_tokens=4, temperature=0.0)


def test_dummy_members_differ_and_are_seeded():
    pool, again, other = testing.dummy_pool(3), testing.dummy_pool(3), testing.dummy_pool(3, seed=1)
    identities = [member.identity for member in (*pool, *other)]
    assert len(set(identities)) == 6
    assert [member.identity for member in again] == identities[:3]
    assert pool.names == ["dummy:0", "dummy:1", "dummy:2"]


def test_dummy_answers_depend_on_the_prompt_and_can_often_be_read():
    pool, task = testing.dummy_pool(3), testing.dummy_task("multiple_choice", 8)
    bench = testing.workbench(pool, task.dev)
    texts = [[r.text for r in bench.answer(who, task.dev.items)] for who in range(3)]
    assert all(len(set(row)) > 1 for row in texts)
    outcomes = [score.outcome for row in texts for score in task.score("dev", row)]
    assert 0 < outcomes.count("unparsed") < len(outcomes)


def test_dummy_members_are_saved_and_loaded(tmp_path):
    member = testing.dummy_pool(1)[0]
    member.save(tmp_path / "member")
    (loaded,) = Pool.load([str(tmp_path / "member")])
    assert loaded.identity == member.identity
    for ours, theirs in zip(
        jax.tree.leaves(loaded.params), jax.tree.leaves(member.params), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("kind", ["multiple_choice", "exact_match", "f1_match"])
def test_dummy_tasks_can_be_solved(kind):
    task = testing.dummy_task(kind, 5)
    assert len(task.dev) == len(task.test) == 5
    golds = [gold.answers[0] for gold in task.test.golds]
    assert {score.outcome for score in task.score("test", golds)} == {"correct"}
    assert not set(task.prompts("dev")) & set(task.prompts("test"))


def test_scripted_engine_answers_like_an_engine():
    pool = testing.dummy_pool(2)
    engine = testing.ScriptedEngine(lambda name, request: f"{name}!")
    request = Request.user("why?", item="x", purpose="judge")
    (answer,) = engine.ask([pool[1]], [request], GREEDY)
    assert answer.text == "dummy:1!"
    assert answer.usage == Usage(4, 8, 9)
    assert [(turn.speaker, turn.role, turn.text) for turn in answer.transcript] == [
        ("user", "judge", "why?"),
        ("dummy:1", "judge", "dummy:1!"),
    ]
    (joint,) = engine.join(list(pool), [request], GREEDY, None)
    assert joint.speaker == "dummy:0+dummy:1"
    assert engine.asked == [("dummy:1", request), ("dummy:0+dummy:1", request)]
    assert engine.calls == [1, 1]


def test_scripts_may_give_whole_responses_and_scores():
    pool = testing.dummy_pool(1)
    said = Response("no", finish="length", logprobs=(-2.0,))
    engine = testing.ScriptedEngine(lambda n, r: said, lambda n, r, text: -float(len(text)))
    request = Request.user("why?")
    (answer,) = engine.ask([pool[0]], [request], GREEDY)
    assert (answer.finish, answer.speaker, answer.mean_logprob) == ("length", "dummy:0", -2.0)
    assert engine.score([pool[0]], [request], ["abc"]) == [(-3.0,)]
    silent = testing.ScriptedEngine(lambda n, r: "")
    with pytest.raises(ValueError, match="no `logprob` function"):
        silent.score([pool[0]], [request], ["abc"])
