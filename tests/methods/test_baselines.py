"""The baselines, by script."""

import numpy as np

from moco_jax import testing
from moco_jax.decoding.types import Usage
from moco_jax.methods import make_method
from moco_jax.methods.votes import chance

POOL = testing.dummy_pool(3)
TASK = testing.dummy_task("multiple_choice", 6)


def bench_with(answer):
    engine = testing.ScriptedEngine(answer)
    return testing.workbench(POOL, TASK.dev, engine=engine), engine


def right_at(member, *positions):
    """Says A everywhere, which is right at dev items 0 and 3; `member` also elsewhere."""

    def answer(name, request):
        index = int(request.item.split("/")[1])
        return "ABC"[index % 3] if name == member and index in positions else "A"

    return answer


def test_best_on_dev_takes_the_best():
    bench, engine = bench_with(right_at("dummy:1", 1, 2))
    responses = make_method("best_on_dev", {}).fit(bench).respond(TASK.test.items, bench)
    assert {response.speaker for response in responses} == {"dummy:1"}
    assert bench.dev_scores() == (2 / 6, 4 / 6, 2 / 6)
    assert len(engine.asked) == 3 * 6 + 6


def test_ties_go_to_the_earlier_member():
    bench, _ = bench_with(lambda name, request: "A")
    system = make_method("best_on_dev", {}).fit(bench)
    assert system.member == 0


def test_random_member_draws_by_seed_and_item():
    bench, engine = bench_with(lambda name, request: "A")
    make_method("random_member", {}).fit(bench).respond(TASK.test.items, bench)
    wanted = [
        f"dummy:{chance(0, 'random_member', item.key).integers(3)}" for item in TASK.test.items
    ]
    assert [name for name, _ in engine.asked] == wanted
    draws = [chance(seed, "random_member", "test/0").integers(3) for seed in range(300)]
    assert np.bincount(draws, minlength=3).min() > 70


def test_self_consistency_takes_the_most_frequent_answer():
    said = ["B", "", "(C)", "The answer is C.", "B."]
    bench, engine = bench_with(
        lambda name, request: said[request.sample] if request.purpose == "answer" else "A"
    )
    method = make_method("self_consistency", {"samples": 4})
    response = method.fit(bench).respond(TASK.test.items[:1], bench)[0]
    assert response.text == "(C)"
    assert dict(response.notes)["votes"] == {"B": 1.0, "C": 2.0}
    prompt = len(TASK.test.items[0].prompt)
    new = sum(len(text) for text in said[:4])
    assert response.usage == Usage(4 * prompt, new, 4 + new)
    assert [turn.text for turn in response.transcript[1::2]] == said[:4]
    assert engine.calls[-1] == 4
