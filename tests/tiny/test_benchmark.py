import json
import pathlib

import numpy as np
import pytest

import moco_jax.tiny
from moco_jax.tasks import load_task
from moco_jax.tiny import benchmark, build, recipes
from moco_jax.tiny.problems import SKILLS
from moco_jax.tiny.speech import stated

TASKS = pathlib.Path(moco_jax.tiny.__file__).parent / "tasks"


@pytest.mark.parametrize("name", benchmark.KINDS)
def test_the_packaged_files_are_what_the_generators_make(name):
    assert json.loads((TASKS / f"{name}.json").read_text()) == benchmark.build_task(name)


@pytest.mark.parametrize("name", benchmark.KINDS)
def test_tasks_load_are_balanced_and_disjoint(name):
    task = load_task(name)
    assert len(task.dev) == 204 and len(task.test) >= 300
    dev, test = ({item.question.split("\n")[0] for item in task.items(s)} for s in ("dev", "test"))
    assert not dev & test
    rows = json.loads((TASKS / f"{name}.json").read_text())["test"]
    counts = [sum(row["skill"] == skill for row in rows) for skill in SKILLS]
    assert len(set(counts)) == 1


def test_training_never_meets_a_packaged_question():
    asked = set()
    for name in benchmark.KINDS:
        task = load_task(name)
        for split in ("dev", "test"):
            asked |= {item.question.split("\n")[0] for item in task.items(split)}
    for recipe in recipes.recipes().values():
        practice = build.Practice(recipe)
        for index in np.random.default_rng(recipe.seed).integers(0, 10**6, 300):
            prompt = practice[int(index)].messages[0][1].removeprefix("Question:\n")
            assert prompt.split("\n")[0] not in asked


def test_answers_score_as_right():
    for name in benchmark.KINDS:
        task = load_task(name)
        content = json.loads((TASKS / f"{name}.json").read_text())["dev"]
        key = "answer" if name == "tiny_choice" else "output"
        said = [row[key] if key == "answer" else stated(row[key]) for row in content]
        assert all(score.value == 1.0 for score in task.score("dev", said))
