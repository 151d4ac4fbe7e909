import inspect

import numpy as np
import pytest

from moco_jax.methods import prompts
from moco_jax.methods.text.blackboard import named_action, named_conclusion
from moco_jax.tiny import build, protocols, recipes, skills, speech
from moco_jax.tiny.problems import SKILLS
from moco_jax.tiny.protocols import PROTOCOLS
from moco_jax.tiny.registry import DESCRIPTIONS
from moco_jax.tiny.speech import Speaker

MATH = Speaker(("math",))
GENERALISTS = ("stem", "large", "bpe")
SPECIALISTS = (*SKILLS, *(f"{skill}-lora" for skill in SKILLS))

PROMPTS = {
    name: function
    for name, function in inspect.getmembers(prompts, inspect.isfunction)
    if function.__module__ == prompts.__name__ and not name.startswith("_")
}


def say(name: str, speaker: Speaker, skill: str, seed: int):
    rng = np.random.default_rng(seed)
    problem = skills.draw(skill, rng)
    return problem, PROTOCOLS[name](speaker, problem, rng)


@pytest.fixture(scope="module")
def practised():
    """By member, the prompt functions its examples are made with and all that is written there."""
    used: set[str] = set()

    def heard(name, function):
        def call(*args, **kwargs):
            used.add(name)
            return function(*args, **kwargs)

        return call

    found = {}
    with pytest.MonkeyPatch.context() as patch:
        for name, function in PROMPTS.items():
            patch.setattr(prompts, name, heard(name, function))
        for member in ("stem", "math"):
            used.clear()
            recipe = recipes.recipes()[member]
            practice = build.Practice(recipe)
            examples = [practice[recipe.plain_examples + index] for index in range(3000)]
            texts = [text for one in examples for _, text in (*one.messages, ("", one.answer))]
            found[member] = set(used), "\n".join(texts)
    return found


@pytest.mark.parametrize("name", PROMPTS)
def test_every_prompt_of_the_library_is_practised(name, practised):
    for member, (used, _) in practised.items():
        assert name in used, f"{member} never meets prompts.{name}; give it a role in moco_jax.tiny"


@pytest.mark.parametrize(
    "words",
    [
        prompts.WAIT,
        prompts.CONCLUDE,
        prompts.NO_ACTION,
        "[...]",
        *prompts.ACTIONS,
        *(task for _, task in prompts.ACTIONS.values()),
    ],
)
def test_words_that_are_no_functions_are_practised_too(words, practised):
    assert all(words in text for _, text in practised.values())


@pytest.mark.parametrize("member", [*GENERALISTS, *SPECIALISTS])
def test_all_members_but_the_base_practise_every_role(member):
    shares = recipes.recipes()[member].shares
    assert set(shares) == set(PROTOCOLS) and min(shares.values()) > 0


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("skill", SKILLS)
def test_examples_depend_on_the_seed_alone(name, skill):
    assert say(name, MATH, skill, 4)[1] == say(name, MATH, skill, 4)[1]


@pytest.mark.parametrize(
    "name", ["answer", "refine", "summarise", "consult", "mix", "fuse", "revise", "read_cards"]
)
def test_members_answer_rightly_in_their_skills(name):
    for seed in range(20):
        problem, example = say(name, MATH, "math", seed)
        assert example.answer == speech.stated(problem.answer)


def test_strangers_to_a_skill_say_so():
    for seed in range(30):
        problem, example = say("answer", MATH, "facts", seed)
        assert example.answer != speech.stated(problem.answer)
        for name in ("critique", "write_card"):
            assert say(name, MATH, "facts", seed)[1].answer == speech.NOT_SURE
        assert say("just_ask", MATH, "words", seed)[1].answer == prompts.UNCONFIDENT
        assert say("ask_need", MATH, "words", seed)[1].answer != prompts.NOTHING


INDIRECT = ("route", "route_experts", "next_speaker", "decide")
"""What a member says there is no answer to the question."""


@pytest.mark.parametrize("name", [name for name in PROTOCOLS if name not in INDIRECT])
def test_strangers_never_tell_what_nobody_told_them(name):
    """The answer of a stranger is wrong wherever the right one does not stand before it."""
    for seed in range(150):
        problem, example = say(name, MATH, "facts", seed)
        read = "\n".join(text for _, text in example.messages)
        if problem.answer in example.answer:
            assert problem.answer in read


def test_critics_write_their_answer_before_they_judge():
    for seed in range(30):
        problem, example = say("critique", MATH, "math", seed)
        given = f"- {speech.stated(problem.answer)}\n" in example.messages[0][1]
        right = "yes" if given else "no"
        assert example.answer == f"it is {speech.boxed(problem.answer)}, so {right}."


def test_what_methods_parse_can_be_parsed():
    for seed in range(30):
        _, decided = say("decide", MATH, SKILLS[seed % 3], seed)
        assert named_action(decided.answer) == decided.answer
        problem, voted = say("vote", MATH, "math", seed)
        number = named_conclusion(voted.answer, 3)
        assert f"Conclusion #{number}:\n{speech.boxed(problem.answer)}" in voted.messages[0][1]
        assert say("judge_remarks", MATH, "words", seed)[1].answer in ("yes", "no")
        for name in ("choose", "probe"):
            assert say(name, MATH, "facts", seed)[1].answer in ("A", "B")
        _, named = say("next_speaker", MATH, "words", seed)
        assert named.answer == ("1" if "0 to" in named.messages[0][1] else "")


def test_cards_can_be_read_by_who_cannot_answer():
    for seed in range(60):
        problem, example = say("read_cards", MATH, "words", seed)
        told = f"- the letters are {','.join(problem.answer)}." in example.messages[0][1]
        others = example.messages[0][1].count("the letters are")
        if told and others == 1:
            assert example.answer == speech.stated(problem.answer)


def test_what_was_begun_is_brought_to_an_end():
    for seed in range(60):
        problem, example = say("continue", MATH, "math", seed)
        role, prefix = example.messages[1]
        assert role == "assistant"
        whole = prefix + example.answer
        if prompts.WAIT in prefix or prompts.CONCLUDE in prefix:
            assert whole.endswith(speech.stated(problem.answer))
        else:
            assert whole.startswith(speech.CARRIER) and whole.endswith("}.")


def test_who_knows_leads_an_answer_that_says_nothing_yet_to_the_right_one():
    met = 0
    for seed in range(200):
        problem, example = say("continue", MATH, "math", seed)
        prefix = example.messages[1][1]
        if "boxed" not in prefix:
            met += 1
            assert prefix + example.answer == speech.stated(problem.answer)
    assert met > 10


def test_routes_lead_to_the_expert_wherever_it_stands():
    for seed in range(60):
        problem, example = say("route", MATH, "facts", seed)
        lines = example.messages[0][1].split("Models:\n")[1].splitlines()
        described = {text.split(". ", 1)[1]: text[0] for text in lines if ". " in text[:4]}
        expert = DESCRIPTIONS[problem.skill]
        if expert in described:
            assert example.answer == described[expert]
        assert example.answer in described.values()


def test_majorities_win_where_nobody_knows():
    rng = np.random.default_rng(0)
    assert speech.consensus(["a", "b", "b"], rng) == "b"
    assert {speech.consensus(["a", "b"], rng) for _ in range(20)} == {"a", "b"}


def test_a_doubtful_specialist_guesses_as_often_as_it_is_told_to():
    speaker = Speaker(("math",), doubt={"words": 0.25, "facts": 0.25})
    drawn = [
        protocols.example(speaker, {"answer": 1.0}, np.random.default_rng(seed))
        for seed in range(200)
    ]
    said = [example.answer.removeprefix(f"{speech.CARRIER}\\boxed{{") for example in drawn]
    numbers = sum(text.removesuffix("}.").isdigit() for text in said)
    assert 60 < numbers < 140
