"""The board: hand-written transcripts, who acts, votes, and when the work ends."""

import dataclasses

import pytest

from moco_jax import testing
from moco_jax.decoding.types import Usage
from moco_jax.method import NeedsError
from moco_jax.methods import make_method, prompts
from moco_jax.methods.text.blackboard import Board, Rules, named_action, named_conclusion
from moco_jax.methods.votes import chance
from moco_jax.pool import Pool

POOL = testing.dummy_pool(3)
ONE = Pool(POOL.members[:1])
TASK = testing.dummy_task("multiple_choice", 3)
ITEM = TASK.test.items[0]
ASK = (
    "What should be done next? Reply with one word:\nPLAN: outline how to answer\n"
    "WORK: do the next step\nCHECK: see whether entries are right\nMEND: correct an entry\n"
    "FINISH: give the final answer"
)
FINISH = "Write FINAL: and then the answer to the question.\n\nAnswer with the letter."


def run(answer, pool=POOL, items=TASK.test.items[:1], logprob=None, greedy=False, **settings):
    scored = {} if logprob is None else {"logprob": logprob}
    engine = testing.ScriptedEngine(answer, **scored)
    bench = testing.workbench(pool, TASK.dev, engine=engine)
    if greedy:
        bench = dataclasses.replace(bench, sampling=bench.sampling.with_greedy())
    system = make_method("text_bbmas", settings).fit(bench)
    engine.calls.clear()
    engine.asked.clear()
    return system.respond(items, bench), engine


def turns(response):
    return [(turn.speaker, turn.role, turn.text) for turn in response.transcript]


def test_one_agent_plans_works_and_finishes():
    replies = iter(
        ["I PLAN to WORK", "PLAN", "first this", "WORK.", "so 4", "FINISH", "It is FINAL: (C) "]
    )
    (response,), engine = run(lambda *_: next(replies), ONE)
    empty = f"{ITEM.prompt}\n\nBoard:\n(empty)\n\n"
    one = f"{ITEM.prompt}\n\nBoard:\n1. (round 1, plan) first this\n\n"
    two = one.rstrip("\n") + "\n2. (round 2, work) so 4\n\n"
    plan = "Write a plan to answer the question. Do not answer it."
    wanted = [
        ("select", empty + ASK, "I PLAN to WORK"),
        ("select", empty + ASK, "PLAN"),
        ("plan", empty + plan, "first this"),
        ("select", one + ASK, "WORK."),
        ("work", one + "Do the next step. Do no more than that.", "so 4"),
        ("select", two + ASK, "FINISH"),
        ("finish", two + FINISH, "It is FINAL: (C) "),
    ]
    spoken = [
        line
        for role, asked, said in wanted
        for line in (("user", role, asked), ("dummy:0", role, said))
    ]
    assert turns(response) == spoken
    assert [request.sample for _, request in engine.asked] == [0, 1, 0, 0, 0, 0, 0]
    assert (response.text, response.speaker) == ("(C)", "dummy:0")
    assert dict(response.notes) == {
        "chosen": "dummy:0",
        "iterations": 3,
        "exhausted": False,
        "actions": ["PLAN", "WORK", "FINISH"],
        "calls": 7,
        "conclusions": 1,
    }
    read, written = (sum(len(line[i]) for line in wanted) for i in (1, 2))
    assert response.usage == Usage(read, written, 7 + written)


ACTS = {"dummy:0": "FINISH", "dummy:1": "CHECK", "dummy:2": "FINISH"}
ENDS = {"dummy:0": "FINAL: A", "dummy:1": "all right", "dummy:2": "B"}


def disagree(votes):
    def answer(name, request):
        by_purpose = {"select": ACTS, "vote": votes}
        return by_purpose.get(request.purpose, ENDS)[name]

    return answer


def test_agents_read_the_same_board_and_vote_on_conclusions():
    votes = {"dummy:0": "Conclusion #1", "dummy:1": "1? no, conclusion 2", "dummy:2": "2."}
    (response,), engine = run(disagree(votes), max_num_agents_to_act=5, min_num_agents_to_stop=2)
    order = [int(who) for who in chance(0, "select 1", ITEM.key).permutation(3)]
    names = [f"dummy:{who}" for who in order]
    board = f"{ITEM.prompt}\n\nBoard:\n(empty)\n\n"
    check = "Check the entries: say by number which are right."
    ends = {name: "A" if name == "dummy:0" else "B" for name in names if name != "dummy:1"}
    ballot = "\n\n".join(
        f"Conclusion #{number}:\n{text}" for number, text in enumerate(ends.values(), 1)
    )
    ballot = f"{ITEM.prompt}\n\n{ballot}\n\nWhich conclusion is best? Reply with its number."
    wanted = []
    for name in names:
        wanted += [("user", "select", board + ASK), (name, "select", ACTS[name])]
    for name in names:
        task = check if name == "dummy:1" else FINISH
        role = ACTS[name].lower()
        wanted += [("user", role, board + task), (name, role, ENDS[name])]
    for who in range(3):
        wanted += [("user", "vote", ballot), (f"dummy:{who}", "vote", votes[f"dummy:{who}"])]
    assert turns(response) == wanted
    assert engine.calls == [3, 3, 3]
    assert response.text == list(ends.values())[1]
    assert response.speaker == list(ends)[1]


def test_unread_votes_do_not_count_and_ties_go_to_the_first():
    for votes, place in (
        ({"dummy:0": "none", "dummy:1": "Conclusion #9", "dummy:2": "Conclusion #2"}, 1),
        ({"dummy:0": "1", "dummy:1": "2", "dummy:2": ""}, 0),
        ({"dummy:0": "", "dummy:1": "", "dummy:2": ""}, 0),
    ):
        (response,), _ = run(disagree(votes), max_num_agents_to_act=3, min_num_agents_to_stop=2)
        finished = [turn for turn in response.transcript if turn.role == "finish"]
        assert response.speaker == [t.speaker for t in finished if t.speaker != "user"][place]


def test_equal_conclusions_need_no_vote():
    def answer(name, request):
        return "FINISH" if request.purpose == "select" else "FINAL: A"

    (response,), engine = run(answer, max_num_agents_to_act=3)
    assert engine.calls == [3, 3]
    assert response.text == "A"


def test_who_acted_last_has_to_finish_when_iterations_are_used_up():
    def answer(name, request):
        return {"select": "WORK", "work": "more"}.get(request.purpose, "FINAL: C")

    (response,), engine = run(answer, max_iterations=2)
    assert [request.purpose for _, request in engine.asked] == [
        *("select", "work", "select", "work", "finish")
    ]
    assert engine.asked[-1][0] == engine.asked[-2][0]
    notes = dict(response.notes)
    assert (response.text, notes["exhausted"], notes["iterations"]) == ("C", True, 2)


def test_choices_that_cannot_be_read_are_invalid_entries():
    def answer(name, request):
        return "hm" if request.purpose == "select" else "C"

    (response,), engine = run(answer, ONE, max_iterations=1)
    assert engine.calls == [1, 1, 1, 1]
    assert dict(response.notes)["actions"] == ["INVALID", "FINISH"]
    assert f"1. (round 1, invalid) {prompts.NO_ACTION}" in response.transcript[-2].text
    assert response.text == "C"
    _, engine = run(answer, ONE, max_iterations=1, greedy=True)
    assert engine.calls == [1, 1], "the same reply again would not be read either"


def test_items_at_different_steps_share_batches():
    plans = {"test/0": 0, "test/1": 2, "test/2": 1}

    def answer(name, request):
        if request.purpose != "select":
            return request.purpose
        rounds = request.messages[-1].content.count("(round")
        return "FINISH" if rounds >= plans[request.item] else "PLAN"

    responses, engine = run(answer, items=TASK.test.items)
    assert [dict(response.notes)["iterations"] for response in responses] == [1, 3, 2]
    assert engine.calls == [3, 3, 2, 2, 1, 1]
    turned, _ = run(answer, items=TASK.test.items[::-1])
    assert turned[::-1] == responses


def test_the_likeliest_action_is_taken_by_score():
    def logprob(name, request, label):
        wanted = "FINISH" if "round" in request.messages[-1].content else "MEND"
        return -1.0 if label == wanted else -2.0

    (response,), engine = run(lambda *_: "A", ONE, logprob=logprob, selection="score")
    assert dict(response.notes)["actions"] == ["MEND", "FINISH"]
    assert [turn.text for turn in response.transcript[1::2]] == ["MEND", "A", "FINISH", "A"]
    assert [label for _, _, label in engine.scored] == 2 * list(prompts.ACTIONS)
    assert engine.calls == [1, 1]


def test_one_member_may_speak_for_all():
    def answer(name, request):
        if request.purpose == "dev":
            return "A" if name == "dummy:2" else "none"
        return "FINISH" if request.purpose == "select" else "B"

    _, engine = run(answer, max_num_agents_to_act=3, backbone="best")
    assert {name for name, _ in engine.asked} == {"dummy:2"}
    assert engine.calls == [3, 3]


def test_nobody_waits_much_longer_than_the_threshold():
    free = Board(ITEM, Rules((0, 1, 2, 3, 4), 1, 1, 1000, 60, 1), 0)
    drawn = [free.next_agents(iteration)[0] for iteration in range(1, 61)]
    assert drawn == [
        chance(0, f"select {iteration}", ITEM.key).permutation(5)[0] for iteration in range(1, 61)
    ]
    fair = Board(ITEM, Rules((0, 1, 2, 3, 4), 2, 1, 3, 60, 1), 0)
    last = dict.fromkeys(range(5), 0)
    for iteration in range(1, 61):
        waiting = {agent: iteration - 1 - last[agent] for agent in last}
        acting = fair.next_agents(iteration)
        overdue = sorted((idle for idle in waiting.values() if idle > 3), reverse=True)
        assert len(set(acting)) == 2
        assert [waiting[agent] for agent in acting][: len(overdue)] == overdue[:2]
        last |= dict.fromkeys(acting, iteration)


@pytest.mark.parametrize(
    ("reply", "action"),
    [
        ("CHECK", "CHECK"),
        ("I check the plan: **WORK**", "WORK"),
        ("WORK, then WORK again", "WORK"),
        ("PLAN or WORK", None),
        ("WORKING", None),
        ("", None),
    ],
)
def test_a_choice_names_one_action(reply, action):
    assert named_action(reply) == action


@pytest.mark.parametrize(
    ("reply", "number"),
    [
        ("Conclusion #1 is wrong, so Conclusion #2", "2"),
        ("conclusion 1, for 2 reasons", "1"),
        ("Conclusion #7", None),
        ("2", "2"),
        ("1.5", None),
        ("none", None),
    ],
)
def test_a_vote_is_the_last_conclusion_named(reply, number):
    assert named_conclusion(reply, 3) == number


def test_work_that_cannot_end_is_refused():
    with pytest.raises(NeedsError, match="min_num_agents_to_stop is 2, and no more than 1 of 3"):
        testing.check(make_method("text_bbmas", {"min_num_agents_to_stop": 2}), POOL, TASK)
