"""Scores every packaged member alone, skill by skill, and writes the tables into a page.

    python experiments/score_tiny_pool.py --page=docs/tiny_pool.md

Greedy answers of at most 16 new tokens to the test split, in percent.
"""

import importlib.resources
import json
import pathlib
import tempfile

import numpy as np
from absl import app, flags

from moco_jax import Pool, load_task, run
from moco_jax.analysis.bench_page import Section, fill, publish
from moco_jax.analysis.load import load_run
from moco_jax.analysis.tables import TextTable
from moco_jax.decoding.types import Sampling
from moco_jax.testing.timing import machine
from moco_jax.tiny import MEMBERS
from moco_jax.tiny.problems import SKILLS
from moco_jax.tiny.registry import PREFIX

_PAGE = flags.DEFINE_string("page", None, "The page; none is written by default.")
_TASKS = flags.DEFINE_list("tasks", ["tiny_mix", "tiny_choice"], "Packaged tasks.")

GREEDY = Sampling(temperature=0.0, max_new_tokens=16)


def skills_of(task: str) -> np.ndarray:
    """The skill of every test item."""
    packaged = importlib.resources.files("moco_jax.tiny") / "tasks" / f"{task}.json"
    return np.array([item["skill"] for item in json.loads(packaged.read_text())["test"]])


def table(pool: Pool, task: str) -> TextTable:
    """A row per member: its score in each skill and over all."""
    with tempfile.TemporaryDirectory() as folder:
        done = run("random_member", pool, load_task(task), sampling=GREEDY, out=folder)
        singles = load_run(done.directory).singles
    skills, rows = skills_of(task), []
    for member, answers in singles.items():
        scores = 100 * np.array([answer["score"] for answer in answers])
        each = [scores[skills == skill].mean() for skill in SKILLS]
        rows.append((member, *(f"{score:.1f}" for score in (*each, scores.mean()))))
    columns = (task, *SKILLS, "all")
    return TextTable(columns, tuple(rows), frozenset(range(1, len(columns))))


def main(_: list[str]) -> None:
    pool = Pool.load([PREFIX + member for member in MEMBERS])
    facts = machine()
    sections = [Section(f"members-{task}", table(pool, task), facts) for task in _TASKS.value]
    print(publish(sections, None))
    if _PAGE.value:
        page = pathlib.Path(_PAGE.value)
        page.write_text(fill(page.read_text(), sections))


if __name__ == "__main__":
    app.run(main)
