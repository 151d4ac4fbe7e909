"""Talk along a graph: whole transcripts against hand-written ones, and against everybody asked."""

import itertools

import pytest

from moco_jax import testing
from moco_jax.method import NeedsError
from moco_jax.methods import HyperparameterError, make_method, prompts
from moco_jax.methods.text.graphs import TOPOLOGIES, topology
from moco_jax.methods.text.structure import speakers

POOL = testing.dummy_pool(3)
TASK = testing.dummy_task("multiple_choice", 2)
ITEM = TASK.test.items[0]


def script(name, request):
    """dummy:1 is best on dev; in the exchange everyone says its name and the round."""
    if request.purpose == "dev":
        return "A" if name == "dummy:1" else "none"
    return f"{name} in {request.purpose}"


def run(answer=script, items=TASK.test.items[:1], pool=POOL, **settings):
    engine = testing.ScriptedEngine(answer)
    bench = testing.workbench(pool, TASK.dev, engine=engine)
    system = make_method("text_structure", settings).fit(bench)
    engine.calls.clear()
    return system.respond(items, bench), engine


def turns(response):
    return [(turn.speaker, turn.role, turn.text) for turn in response.transcript]


def test_a_chain_of_three_rounds():
    (response,), engine = run(structure_type="chain")
    first = [f"dummy:{who} in answer" for who in range(3)]
    second = [f"dummy:{who} in refine round 2" for who in range(3)]
    wanted = []
    for who in range(3):
        wanted += [("user", "answer", ITEM.prompt), (f"dummy:{who}", "answer", first[who])]
    asked = [
        prompts.refine(ITEM.prompt, first[0], [first[1]]),
        prompts.refine(ITEM.prompt, first[1], [first[0], first[2]]),
        prompts.refine(ITEM.prompt, first[2], [first[1]]),
    ]
    for who in range(3):
        wanted += [
            ("user", "refine round 2", asked[who]),
            (f"dummy:{who}", "refine round 2", second[who]),
        ]
    # Only the reporter is asked in the last round
    wanted += [
        ("user", "refine round 3", prompts.refine(ITEM.prompt, second[1], [second[0], second[2]])),
        ("dummy:1", "refine round 3", "dummy:1 in refine round 3"),
    ]
    assert turns(response) == wanted
    assert response.text == "dummy:1 in refine round 3"
    assert dict(response.notes) == {"chosen": "dummy:1", "rounds": 3}
    assert engine.calls == [3, 3, 1]
    assert response.usage.new_tokens == sum(len(text) for who, _, text in wanted if who != "user")


def test_a_matrix_is_read_from_the_sender_to_the_reader():
    # 0 lets 1 read it, 2 lets 0 read it; nobody reads 1, whose diagonal counts for nothing
    matrix = [[0, 1, 0], [0, 1, 0], [1, 0, 0]]
    (response,), engine = run(structure_type="other", structure_matrix=matrix, num_rounds=2)
    first = [f"dummy:{who} in answer" for who in range(3)]
    assert turns(response) == [
        ("user", "answer", ITEM.prompt),
        ("dummy:0", "answer", first[0]),
        ("user", "answer", ITEM.prompt),
        ("dummy:1", "answer", first[1]),
        ("user", "refine round 2", prompts.refine(ITEM.prompt, first[1], [first[0]])),
        ("dummy:1", "refine round 2", "dummy:1 in refine round 2"),
    ], "what 2 says reaches 1 in the third round at the earliest"
    assert engine.calls == [2, 1]


def test_who_reads_nobody_keeps_its_answer():
    matrix = [[0, 0, 1], [0, 0, 1], [0, 0, 0]]
    (response,), engine = run(structure_type="other", structure_matrix=matrix)
    assert response.text == "dummy:1 in answer"
    assert engine.calls == [1]
    answers = {"dummy:0": "A", "dummy:1": "A", "dummy:2": "B"}
    (response,), engine = run(
        lambda name, _: answers[name],
        structure_type="other",
        structure_matrix=matrix,
        report="vote",
    )
    assert response.text == "A"
    assert engine.calls == [3, 1, 1]


def test_one_round_is_no_exchange():
    (response,), engine = run(structure_type="complete", num_rounds=1)
    assert turns(response) == [
        ("user", "answer", ITEM.prompt),
        ("dummy:1", "answer", "dummy:1 in answer"),
    ]
    assert engine.calls == [1]


def test_a_vote_hears_everybody():
    def answer(name, request):
        if request.purpose == "dev":
            return "A" if name == "dummy:1" else "none"
        return "B" if name != "dummy:1" or request.purpose == "answer" else "A"

    (response,), engine = run(answer, structure_type="circle", num_rounds=2, report="vote")
    assert response.text == "B"
    assert response.speaker == "dummy:0"
    assert dict(response.notes)["votes"] == ["B", "A", "B"]
    assert engine.calls == [3, 3]


def test_a_tied_vote_follows_the_best_on_dev():
    def answer(name, request):
        return "A" if request.purpose == "dev" and name == "dummy:1" else "CAB"[int(name[-1])]

    (response,), _ = run(answer, structure_type="circle", report="vote")
    assert response.text == "A"


def test_a_complete_graph_is_the_debate_of_all():
    structure, _ = run(
        items=TASK.test.items, structure_type="complete", report="vote", num_rounds=3
    )
    other = testing.ScriptedEngine(script)
    bench = testing.workbench(POOL, TASK.dev, engine=other)
    debate = make_method("text_multiagent_refine", {"round": 3, "final": "vote"}).fit(bench)
    for ours, theirs in zip(structure, debate.respond(TASK.test.items, bench), strict=True):
        assert ours.transcript == theirs.transcript
        assert ours.usage == theirs.usage
        assert ours.text == theirs.text


@pytest.mark.parametrize("kind", TOPOLOGIES)
@pytest.mark.parametrize("rounds", [1, 2, 3, 5])
def test_who_is_not_asked_changes_nothing(kind, rounds):
    reads = topology(kind, 6)
    # Everybody says whom it has heard of, and when
    said = [[f"{who}" for who in range(6)]]
    for _ in range(rounds - 1):
        last = said[-1]
        said.append([f"({last[who]}|{'+'.join(last[s] for s in reads[who])})" for who in range(6)])
    for reporter in range(6):
        now = {}
        for number, members in enumerate(speakers(reads, [reporter], rounds)):
            if number == 0:
                now = {who: f"{who}" for who in members}
                continue
            now |= {who: f"({now[who]}|{'+'.join(now[s] for s in reads[who])})" for who in members}
        assert now[reporter] == said[-1][reporter]
    everybody = speakers(reads, range(6), rounds)
    assert everybody == [list(range(6))] * rounds


def test_items_do_not_mix():
    def answer(name, request):
        said = script(name, request)
        return said if request.purpose == "dev" else f"{said} on {request.item}"

    responses, engine = run(answer, TASK.test.items, structure_type="tree")
    assert engine.calls == [2 * count for count in (3, 2, 1)]
    for item, response in zip(TASK.test.items, responses, strict=True):
        assert response.text == f"dummy:1 in refine round 3 on {item.id}"
        others = {i.id for i in TASK.test.items} - {item.id}
        assert not any(other in turn.text for turn in response.transcript for other in others)


def test_bad_settings_say_what_would_do():
    def refused(match, **settings):
        with pytest.raises(HyperparameterError, match=f"text_structure.*{match}"):
            make_method("text_structure", settings)

    refused("structure_type", num_rounds=3)
    refused("structure_type is 'ring'", structure_type="ring")
    refused("num_rounds is 0", structure_type="chain", num_rounds=0)
    refused("report is 'all'", structure_type="chain", report="all")
    refused("structure_matrix is None", structure_type="other")
    refused("must be square", structure_type="other", structure_matrix=[[0, 1], [1]])
    refused("2 stands in it", structure_type="other", structure_matrix=[[0, 2], [1, 0]])
    settings = {"structure_type": "other", "structure_matrix": [[0, 1], [1, 0]]}
    with pytest.raises(
        NeedsError, match=r"structure_matrix is \(\(0, 1\), \(1, 0\)\) for 3 members"
    ):
        testing.check(make_method("text_structure", settings), POOL, TASK)


def test_comparing_answers_needs_a_kind_that_has_them():
    task = testing.dummy_task("text_generation", 2)
    method = make_method("text_structure", {"structure_type": "chain", "report": "vote"})
    with pytest.raises(NeedsError, match="this one is text_generation"):
        testing.check(method, POOL, task)


def test_an_unused_matrix_is_named_in_the_log(caplog):
    unused = list(itertools.repeat([0, 0], 2))
    with caplog.at_level("WARNING"):
        run(structure_type="chain", structure_matrix=unused)
    assert "structure_matrix has no effect with structure_type='chain'" in caplog.text


def test_quotes_that_do_not_fit_are_dropped_visibly():
    def answer(name, request):
        return "A" if request.purpose == "dev" else f"{name} says " * 30

    (response,), _ = run(answer, structure_type="complete", num_rounds=2)
    assert "context" not in dict(response.notes)
    policy = {"structure_type": "complete", "num_rounds": 2, "context_policy": "oldest_first"}
    (response,), _ = run(answer, **policy)
    dropped = dict(response.notes)["context"]["dropped"]
    assert 1 <= dropped <= 2
    asked = response.transcript[-2].text
    assert prompts.left_out(dropped) in asked
    assert ("dummy:0 says " * 30).strip() in asked, "its own answer is the last to go"
