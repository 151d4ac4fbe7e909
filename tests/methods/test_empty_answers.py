"""A member that said nothing is quoted to nobody, in every method that quotes."""

import re

import pytest

from moco_jax import testing
from moco_jax.decoding.types import Response
from moco_jax.methods import METHODS, make_method, prompts

POOL = testing.dummy_pool(3)
TASK = testing.dummy_task("multiple_choice", 1)
ITEM = TASK.test.items[0]

CASES = {
    "text_bbmas": [
        {"max_iterations": 3, "max_num_agents_to_act": 3, "min_num_agents_to_stop": 2},
        {"max_iterations": 2, "max_num_agents_to_act": 2, "selection": "score"},
    ],
    "text_heterogeneous_swarms": [{"population": 3, "max_iterations": 1, "graph_top_p": 1}],
    "text_knowledge_card": [
        {},
        {"selectors": ["relevance", "brevity"], "mode": "top_down", "exclude_self": True},
    ],
    "text_llm_blender": [{}, {"aggregation": "wins", "top_k": 2, "context_policy": "shorten"}],
    "text_moa": [
        {"round": 2},
        {"proposers": "best", "dedupe_references": True, "context_policy": "summarise"},
    ],
    "text_multiagent_feedback": [{"round": 3}, {"round": 2, "feedback_count": 1}],
    "text_multiagent_refine": [
        {"round": 3},
        {"round": 3, "final": "vote", "context_policy": "oldest_first"},
    ],
    "text_structure": [
        {"structure_type": "complete", "num_rounds": 3},
        {"structure_type": "chain", "num_rounds": 3, "report": "vote"},
    ],
}
ALL = [
    pytest.param(name, settings, id=f"{name}-{number}")
    for name, cases in CASES.items()
    for number, settings in enumerate(cases)
]
NOTHINGS = {
    "empty": "",
    "blank": " \n\t",
    "over-length": Response(text="", finish="over_length"),
    "cut thought": Response(text="", reasoning="Let me think", finish="length"),
}
EMPTY_QUOTE = re.compile(r"(?m)^(-|\d+\.( \(round [^)]*\))?)\s*$|^[^\n]*:\n\s*(\n|\Z)")
"""A dash or number with nothing behind it, or a title with nothing below it."""


def run(name, settings, silent, nothing="", pool=POOL, when=lambda purpose: True):
    """The response to one item, and [(member, purpose, prompt)] of all that was asked for it."""

    def answer(member, request):
        if request.purpose == "dev":
            return "A" if member == "dummy:1" else "none"
        if request.purpose == "select":
            return "FINISH" if "round 2" in request.messages[0].content else "WORK"
        if member in silent and when(request.purpose):
            return nothing
        return f"{member} says B"

    engine = testing.ScriptedEngine(answer, lambda *_: -1.0)
    bench = testing.workbench(pool, TASK.dev, engine=engine)
    system = make_method(name, settings).fit(bench)
    engine.asked.clear()
    (response,) = system.respond([ITEM], bench)
    asked = [(who, r.purpose, r.messages[0].content) for who, r in engine.asked]
    asked += [(who, r.purpose, r.messages[0].content) for who, r, _ in engine.scored]
    return response, asked


def test_every_method_that_quotes_is_among_the_cases():
    quoting = {name for name, method in METHODS.items() if hasattr(method, "context_policy")}
    assert quoting == set(CASES)


@pytest.mark.parametrize("nothing", NOTHINGS.values(), ids=NOTHINGS)
@pytest.mark.parametrize("silent", [(0,), (1,), (0, 1), (0, 1, 2)])
@pytest.mark.parametrize(("name", "settings"), ALL)
def test_nothing_is_quoted_of_who_said_nothing(name, settings, silent, nothing):
    who = {f"dummy:{number}" for number in silent}
    response, asked = run(name, settings, who, nothing)
    for _, purpose, prompt in asked:
        assert not EMPTY_QUOTE.search(prompt), (purpose, prompt)
        assert not any(f"{member} says" in prompt for member in who)
    if len(silent) == 3:
        assert response.text.strip() == ""


@pytest.mark.parametrize(("name", "settings"), ALL)
def test_empty_quotes_would_be_seen(name, settings):
    _, asked = run(name, settings, ())
    emptied = [re.sub(r"dummy:\d says B", "", prompt) for _, _, prompt in asked]
    assert any(map(EMPTY_QUOTE.search, emptied))


@pytest.mark.parametrize(
    ("name", "purposes"),
    [
        ("text_multiagent_refine", {"answer", "refine round 2", "refine round 3", "summarise"}),
        ("text_multiagent_feedback", {"answer", "revise round 2", "revise round 3", "summarise"}),
        ("text_moa", {"answer", "propose round 2", "aggregate"}),
        ("text_structure", {"answer", "refine round 2", "refine round 3"}),
        ("text_heterogeneous_swarms", {"answer", "consult", "summarise"}),
        ("text_llm_blender", {"answer", "fuse"}),
    ],
)
def test_where_nobody_says_anything_the_question_is_put_alone(name, purposes):
    _, asked = run(name, CASES[name][0], set(POOL.names))
    assert {prompt for _, _, prompt in asked} == {ITEM.prompt}
    assert {purpose for _, purpose, _ in asked} <= purposes


def prompts_to(asked, member, purpose):
    return [prompt for who, why, prompt in asked if (who, why) == (member, purpose)]


def test_a_debate_goes_on_among_those_who_speak():
    _, asked = run("text_multiagent_refine", {"round": 2}, {"dummy:0"})
    one, two = "dummy:1 says B", "dummy:2 says B"
    assert prompts_to(asked, "dummy:1", "refine round 2") == [
        prompts.refine(ITEM.prompt, one, [two])
    ]
    assert prompts_to(asked, "dummy:0", "refine round 2") == [
        f"{ITEM.prompt}\n\nOther answers:\n- {one}\n- {two}\n\n"
        "Give your best answer to the question."
    ]
    assert prompts_to(asked, "dummy:1", "summarise") == [
        f"{ITEM.prompt}\n\nAnswers:\n- {one}\n- {two}\n\nGive the final answer to the question."
    ]


def test_who_debates_alone_sees_its_own_answer():
    _, asked = run("text_multiagent_refine", {"round": 2}, {"dummy:0", "dummy:2"})
    assert prompts_to(asked, "dummy:1", "refine round 2") == [
        f"{ITEM.prompt}\n\nYour answer:\n- dummy:1 says B\n\nGive your best answer to the question."
    ]


@pytest.mark.parametrize("nothing", NOTHINGS.values(), ids=NOTHINGS)
@pytest.mark.parametrize("name", ["text_multiagent_refine", "text_structure"])
def test_who_has_nothing_new_to_say_keeps_its_answer(name, nothing):
    settings = CASES[name][0]
    _, asked = run(name, settings, {"dummy:0"}, nothing, when=lambda why: why == "refine round 2")
    (last,) = prompts_to(asked, "dummy:1", "refine round 3")
    everyone = [f"dummy:{who} says B" for who in range(3)]
    assert last == prompts.refine(ITEM.prompt, everyone[1], everyone[:1] + everyone[2:])


def test_nobody_criticises_an_empty_answer():
    response, asked = run("text_multiagent_feedback", {"round": 2}, {"dummy:0"})
    critiques = [prompt for _, why, prompt in asked if why == "feedback round 2"]
    assert critiques == [
        prompts.critique(ITEM.prompt, f"dummy:{author} says B") for author in (1, 1, 2, 2)
    ]
    assert prompts_to(asked, "dummy:0", "revise round 2") == [ITEM.prompt]
    # Of two critics one says nothing
    assert prompts_to(asked, "dummy:1", "revise round 2") == [
        prompts.revise(ITEM.prompt, "dummy:1 says B", ["dummy:2 says B"])
    ]
    assert response.text == "dummy:1 says B"


def test_a_revision_without_remarks_shows_the_answer_alone():
    settings = {"round": 2}
    _, asked = run(
        "text_multiagent_feedback", settings, set(POOL.names), when=lambda why: "feedback" in why
    )
    assert prompts_to(asked, "dummy:1", "revise round 2") == [
        f"{ITEM.prompt}\n\nYour answer:\n- dummy:1 says B\n\nGive your best answer to the question."
    ]


ROWS = [{"input": f"Who wins race {n}?", "category": "Indeterminate requests"} for n in range(2)]
OPEN = testing.make_split("noncompliance", "test", ROWS)


@pytest.mark.parametrize("nothing", ["", " \n"])
def test_an_empty_final_answer_is_not_judged(nothing):
    def answer(member, request):
        quiet = request.purpose == "summarise" and request.item == OPEN.items[0].id
        return nothing if quiet else f"{member} says no"

    engine = testing.ScriptedEngine(answer, lambda _, __, label: float(label == "no"))
    bench = testing.workbench(POOL, OPEN, engine=engine)
    method = make_method("text_multiagent_feedback", {"round": 1, "abstain": True})
    empty, full = method.fit(bench).respond(OPEN.items, bench)
    assert (empty.text, full.text) == (nothing, "I don't know.")
    assert [dict(one.notes)["abstained"] for one in (empty, full)] == [False, True]
    assert {request.item for _, request, _ in engine.scored} == {OPEN.items[1].id}
    final = [request.item for _, request in engine.asked if request.purpose == "final feedback"]
    assert set(final) == {OPEN.items[1].id}


def test_a_judge_of_remarks_that_say_nothing_sees_the_answer_alone():
    assert prompts.judge_remarks("Q?", "four", ["", " "]) == (
        "Q?\n\nAn answer:\n- four\n\nIs this answer right? Reply with yes or no."
    )


def test_a_mixture_counts_the_proposals_that_are_shown():
    response, asked = run("text_moa", {}, {"dummy:0"})
    assert dict(response.notes)["references"] == 2
    (last,) = prompts_to(asked, "dummy:1", "aggregate")
    assert last == prompts.mix(ITEM.prompt, ["dummy:1 says B", "dummy:2 says B"])


@pytest.mark.parametrize("aggregation", ["maxlogits", "wins"])
def test_an_empty_answer_is_neither_ranked_nor_fused(aggregation):
    response, asked = run("text_llm_blender", {"aggregation": aggregation}, {"dummy:0"})
    shown = {"dummy:1 says B", "dummy:2 says B"}
    judged = [prompt for _, why, prompt in asked if why == "judge"]
    assert len(judged) == 2 * 2
    assert dict(response.notes)["fused"] == ["dummy:1", "dummy:2"]
    first, *others = dict(response.notes)["ranker_scores"]
    assert first is None and None not in others
    (fused,) = prompts_to(asked, "dummy:1", "fuse")
    assert fused == prompts.remind(prompts.fuse(ITEM.prompt, sorted(shown)), ITEM.kind)


def test_one_answer_is_fused_by_itself():
    response, asked = run("text_llm_blender", {}, {"dummy:0", "dummy:2"})
    assert dict(response.notes)["ranker_scores"] == [None, 0.0, None]
    assert not any(why == "judge" for _, why, _ in asked)
    (fused,) = prompts_to(asked, "dummy:1", "fuse")
    assert fused == prompts.remind(prompts.fuse(ITEM.prompt, ["dummy:1 says B"]), ITEM.kind)


def test_an_empty_entry_is_not_on_the_board_and_finishes_nothing():
    response, asked = run("text_bbmas", CASES["text_bbmas"][0], {"dummy:0"})
    boards = [prompt for _, why, prompt in asked if why == "finish"]
    shown = [line for line in boards[0].splitlines() if "(round 1, work)" in line]
    assert [line.partition(" ")[0] for line in shown] == ["1.", "2."]
    assert sorted(line.rpartition(") ")[2] for line in shown) == [
        "dummy:1 says B",
        "dummy:2 says B",
    ]
    notes = dict(response.notes)
    assert (notes["iterations"], notes["exhausted"], notes["conclusions"]) == (3, False, 2)


def test_work_does_not_end_with_an_empty_conclusion():
    settings = {"max_iterations": 3, "max_num_agents_to_act": 3}
    response, _ = run("text_bbmas", settings, set(POOL.names))
    notes = dict(response.notes)
    assert notes["exhausted"] and notes["iterations"] == 3
