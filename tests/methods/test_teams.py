"""Teams along a graph against one call at a time, and what is not asked twice."""

import numpy as np

from moco_jax import testing
from moco_jax.methods import prompts
from moco_jax.methods.text.graphs import decode, levels
from moco_jax.methods.text.teams import Team, work

POOL = testing.dummy_pool(4)
ITEMS = testing.dummy_task("multiple_choice", 2).test.items


def script(name, request):
    return f"{name}<{sum(map(ord, request.messages[-1].content))}>"


def bench_of(answer=script):
    engine = testing.ScriptedEngine(answer)
    task = testing.dummy_task("multiple_choice", 2)
    return testing.workbench(POOL, task.dev, engine=engine), engine


def alone(team, item, node):
    """What the member at a node says, by asking backwards through the graph."""
    order = [one for level in levels(team.reads) for one in level]
    sources = [source for source in order if source in team.reads[node]]
    heard = [alone(team, item, source) for source in sources]
    prompt = item.prompt
    if heard:
        prompt = (prompts.summarise if node == team.end else prompts.consult)(item.prompt, heard)
    return f"{POOL[team.members[node]].name}<{sum(map(ord, prompt))}>"


def random_teams(count, seed=0):
    rng = np.random.default_rng(seed)
    graphs = [decode(rng.normal(size=(4, 4)), 0.7, rng) for _ in range(count)]
    return [Team(reads, end, tuple(rng.permutation(4).tolist())) for reads, end in graphs]


def test_teams_say_what_they_would_say_alone():
    bench, engine = bench_of()
    teams = random_teams(12)
    for team, rows in zip(teams, work(bench, ITEMS, teams, "refuse"), strict=True):
        for item, said in zip(ITEMS, rows, strict=True):
            wanted = {node: alone(team, item, node) for node in range(4)}
            assert {node: response.text for node, response in said.items()} == wanted
            assert list(said)[-1] == team.end
    assert len(engine.calls) <= 4, "one call per level"


def test_nothing_is_asked_twice():
    bench, engine = bench_of()
    known = {}
    first = work(bench, ITEMS, random_teams(8), "refuse", known=known)
    asked = [(name, request.item, request.messages) for name, request in engine.asked]
    assert len(set(asked)) == len(asked)
    assert len(known) == len(asked)
    engine.calls.clear()
    assert work(bench, ITEMS, random_teams(8), "refuse", known=known) == first
    assert engine.calls == []


def test_a_graph_without_cycles_may_send_to_several():
    bench, _ = bench_of(lambda name, request: f"{name} {request.purpose}")
    reads = ((), (0,), (0, 1), (2, 0))
    (((said),),) = work(bench, ITEMS[:1], [Team(reads, 3, (0, 1, 2, 3))], "refuse")
    texts = [response.transcript[0].text for response in said.values()]
    question, heard = ITEMS[0].prompt, ["dummy:0 answer", "dummy:1 consult", "dummy:2 consult"]
    assert texts == [
        question,
        prompts.consult(question, heard[:1]),
        prompts.consult(question, heard[:2]),
        prompts.summarise(question, [heard[0], heard[2]]),
    ]


def test_quotes_that_do_not_fit_are_shortened():
    long = "a b c d e f g h " * 200
    bench, _ = bench_of(lambda name, request: long)
    reads = ((), (0,), (1,), (2,))
    (((said),),) = work(bench, ITEMS[:1], [Team(reads, 3, (0, 1, 2, 3))], "shorten")
    assert dict(said[3].notes)["context"] == {"shortened": 1}
    assert long not in said[3].transcript[0].text
    assert said[3].transcript[0].text.startswith(ITEMS[0].prompt)
