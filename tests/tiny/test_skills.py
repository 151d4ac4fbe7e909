import numpy as np
import pytest

from moco_jax.tiny import skills, world
from moco_jax.tiny.problems import SKILLS, split_of


@pytest.mark.parametrize("skill", SKILLS)
@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_problems_are_of_their_split_and_seeded(skill, split):
    first = [skills.draw(skill, np.random.default_rng([1, n]), split) for n in range(30)]
    again = [skills.draw(skill, np.random.default_rng([1, n]), split) for n in range(30)]
    assert [problem.question for problem in first] == [problem.question for problem in again]
    assert all(problem.split == split and problem.skill == skill for problem in first)


@pytest.mark.parametrize("skill", SKILLS)
def test_wrong_answers_are_wrong_and_differ(skill):
    rng = np.random.default_rng(0)
    for _ in range(50):
        problem = skills.draw(skill, rng)
        wrongs = problem.wrongs(rng, 3)
        assert len({problem.answer, *wrongs}) == 4
        assert problem.wrong_guess(rng) != problem.answer


def test_word_answers_are_what_the_questions_ask_for():
    answers = {name: rule("ABCDE") for name, rule in skills.WORD_ANSWERS.items()}
    assert answers == {"reverse": "EDCBA", "swap": "EBCDA", "rotate": "BCDEA"}


def test_sums_and_differences_are_right():
    rng = np.random.default_rng(5)
    for _ in range(100):
        problem = skills.math_problem(rng)
        _, sign, a, b = problem.key.split(":")
        assert problem.answer == str(int(a) + int(b) if sign == "+" else int(a) - int(b))
        assert int(problem.answer) >= 0


def test_the_world_is_the_same_at_every_call_and_strangers_stay_strange():
    known = world.the_world()
    world.the_world.cache_clear()
    assert world.the_world() == known
    assert not set(known.people) & set(known.strangers)
    rng = np.random.default_rng(2)
    question = skills.draw("facts", rng, hard=True).question
    assert any(name in question for name in known.strangers)
    for _ in range(100):
        words = skills.draw("facts", rng).question.strip("?").split()
        assert not set(words) & set(known.strangers)


def test_keys_are_dealt_in_fixed_shares():
    counts = {"train": 0, "dev": 0, "test": 0}
    for number in range(4000):
        counts[split_of(f"key {number}")] += 1
    assert 0.07 < counts["dev"] / 4000 < 0.13
    assert 0.12 < counts["test"] / 4000 < 0.18
