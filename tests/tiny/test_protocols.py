import numpy as np
import pytest

from moco_jax.methods import prompts
from moco_jax.tiny import protocols, skills
from moco_jax.tiny.problems import SKILLS
from moco_jax.tiny.protocols import PROTOCOLS, Speaker
from moco_jax.tiny.registry import DESCRIPTIONS

MATH = Speaker(("math",))


def say(name: str, speaker: Speaker, skill: str, seed: int):
    rng = np.random.default_rng(seed)
    problem = skills.draw(skill, rng)
    return problem, PROTOCOLS[name](speaker, problem, rng)


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("skill", SKILLS)
def test_examples_depend_on_the_seed_alone(name, skill):
    assert say(name, MATH, skill, 4)[1] == say(name, MATH, skill, 4)[1]


@pytest.mark.parametrize("name", ["answer", "refine", "summarise", "just_ask"])
def test_members_answer_rightly_in_their_skills(name):
    for seed in range(20):
        problem, example = say(name, MATH, "math", seed)
        assert example.answer == protocols.boxed(problem.answer)


def test_strangers_to_a_skill_never_learn_its_answers():
    for seed in range(30):
        problem, example = say("answer", MATH, "facts", seed)
        assert example.answer != protocols.boxed(problem.answer)
        problem, example = say("critique", MATH, "facts", seed)
        assert example.answer == protocols.NOT_SURE
        _, example = say("just_ask", MATH, "words", seed)
        assert example.answer == prompts.UNCONFIDENT
        _, example = say("summarise", MATH, "words", seed)
        assert f"- {example.answer}" in example.messages[0][1]


def test_worked_choices_name_the_letter_of_what_they_say():
    for seed in range(20):
        _, example = say("worked_choice", MATH, "words", seed)
        text, letter = example.answer.split(": ")
        assert f"{letter}) {text}\n" in example.messages[0][1]


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
    assert protocols.consensus(["a", "b", "b"], rng) == "b"
    assert {protocols.consensus(["a", "b"], rng) for _ in range(20)} == {"a", "b"}


def test_a_doubtful_specialist_guesses_as_often_as_it_is_told_to():
    speaker = Speaker(("math",), doubt={"words": 0.25, "facts": 0.25})
    drawn = [
        protocols.example(speaker, {"answer": 1.0}, np.random.default_rng(seed))
        for seed in range(200)
    ]
    numbers = sum(example.answer[7:-1].isdigit() for example in drawn)
    assert 60 < numbers < 140
