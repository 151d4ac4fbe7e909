"""The search for a graph: planted optima, whole transcripts, JFK scores by hand."""

import numpy as np
import pytest

from moco_jax import testing
from moco_jax.methods import HyperparameterError, make_method, prompts
from moco_jax.methods.text.graphs import decode
from moco_jax.methods.text.heterogeneous_swarms import jfk_scores
from moco_jax.methods.votes import chance

NAME = "text_heterogeneous_swarms"
POOL = testing.dummy_pool(3)
TASK = testing.dummy_task("multiple_choice", 2)
GOLDS = {"dev/0": "A", "dev/1": "B", "test/0": "A", "test/1": "B"}


def planted(name, request):
    """dummy:0 has a clue, dummy:1 can read it, dummy:2 can tell what dummy:1 read.

    The first item needs only the right end; the second all of the chain.
    """
    text = request.messages[-1].content
    if name == "dummy:0":
        return "a clue"
    if name == "dummy:1":
        return "it is read" if "a clue" in text and request.purpose == "consult" else "I see none"
    knows = request.purpose == "summarise"
    if request.item.endswith("1"):
        knows = knows and "it is read" in text
    return GOLDS[request.item] if knows else "C"


def fit(answer=planted, pool=POOL, seed=0, **settings):
    engine = testing.ScriptedEngine(answer)
    bench = testing.workbench(pool, TASK.dev, engine=engine, seed=seed)
    return make_method(NAME, settings).fit(bench), bench, engine


@pytest.mark.parametrize("seed", range(3))
def test_the_planted_graph_is_found_and_tested(seed):
    system, bench, engine = fit(seed=seed, population=8, max_iterations=8, patience=8)
    assert (system.reads, system.end, system.dev_score) == (((), (0,), (1,)), 2, 1.0)
    engine.asked.clear()
    engine.calls.clear()
    response = system.respond(TASK.test.items, bench)[1]
    prompt = TASK.test.items[1].prompt
    assert [(turn.speaker, turn.role, turn.text) for turn in response.transcript] == [
        ("user", "answer", prompt),
        ("dummy:0", "answer", "a clue"),
        ("user", "consult", prompts.consult(prompt, ["a clue"])),
        ("dummy:1", "consult", "it is read"),
        ("user", "summarise", prompts.summarise(prompt, ["it is read"])),
        ("dummy:2", "summarise", "B"),
    ]
    assert response.text == "B"
    assert dict(response.notes) == {"chosen": "dummy:2", "edges": [[0, 1], [1, 2]]}
    assert response.usage.new_tokens == len("a clue") + len("it is read") + 1
    assert engine.calls == [2, 2, 2]


def test_nothing_is_asked_twice_in_a_search():
    def answer(name, request):
        return f"{name}<{sum(map(ord, request.messages[-1].content))}>"

    _, _, engine = fit(answer, population=6, max_iterations=6)
    asked = [(name, request.item, request.messages) for name, request in engine.asked]
    assert len(set(asked)) == len(asked)
    first = [name for name, request in engine.asked if request.purpose == "answer"]
    assert len(first) <= len(POOL) * len(TASK.dev)


def test_without_draws_the_graph_is_the_decoded_matrix():
    system, _, _ = fit(graph_top_p=0.0)
    matrix = np.array(system.best_adjacency_matrix)
    assert (np.diag(matrix) == 0).all()
    assert decode(matrix, 0.0, chance(0, "", "")) == (system.reads, system.end)


def test_the_first_of_equal_graphs_is_kept():
    one, _, _ = fit(lambda name, request: "C", max_iterations=1)
    other, _, _ = fit(lambda name, request: "C", max_iterations=5)
    assert one == other


def test_the_dev_score_is_that_of_the_graph():
    rng = np.random.default_rng(0)
    votes = {}

    def answer(name, request):
        key = name, request.item, request.messages[-1].content
        return votes.setdefault(key, "ABC"[rng.integers(3)])

    system, bench, _ = fit(answer)
    again = system.respond(TASK.dev.items, bench)
    assert bench.mean_dev_score(again) == system.dev_score


def test_jfk_scores_by_hand():
    placements = [[0, 0, 1], [1, 1, 1], [0, 1, 3]]
    scores = [1.0, 0.25, 0.5]
    found = jfk_scores(placements, scores, 4)
    assert found[0] == pytest.approx((2 * 1.0 + 0.5) / 3)
    assert found[1] == pytest.approx((1.0 + 3 * 0.25 + 0.5) / 5)
    assert found[2] is None
    assert found[3] == 0.5


def test_contributions_are_measured_where_asked_for():
    def answer(name, request):
        return GOLDS[request.item] if name == "dummy:1" else "C"

    system, _, engine = fit(answer, jfk_assignments=12)
    best = max(range(3), key=lambda who: system.contributions[who] or 0)
    assert best == 1
    without, _, other = fit(answer)
    assert without.contributions == ()
    assert len(other.asked) < len(engine.asked)
    assert without.reads == system.reads


def test_bad_settings_say_what_would_do():
    for field, value in [
        ("population", 0),
        ("max_iterations", 0),
        ("graph_top_p", 1.5),
        ("jfk_assignments", -1),
        ("context_policy", "cut"),
        ("inertia", -1.0),
        ("starting_velocity_mode", "fast"),
    ]:
        with pytest.raises(HyperparameterError, match=f"{NAME}: {field} is"):
            make_method(NAME, {field: value})
    method = make_method(NAME, {"cognitive_coefficient": 0.5, "repel_term_flag": 0})
    assert (method.cognitive_coeff, method.repel_term) == (0.5, False)
