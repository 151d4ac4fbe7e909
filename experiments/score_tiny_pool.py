"""Scores every packaged member alone, skill by skill, and counts the tokens of every role.

    python experiments/score_tiny_pool.py --page=docs/tiny_pool.md

Scores are of greedy answers of at most 16 new tokens to the test split, in percent. Writes the
tables into a page.
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
from moco_jax.models.tokenizer import ChatTemplate, load_tokenizer
from moco_jax.testing.timing import machine
from moco_jax.tiny import MEMBERS, tiny_pool_path
from moco_jax.tiny.problems import SKILLS
from moco_jax.tiny.protocols import PROTOCOLS
from moco_jax.tiny.registry import PREFIX
from moco_jax.tiny.skills import draw
from moco_jax.tiny.speech import Speaker, tokenize

_PAGE = flags.DEFINE_string("page", None, "The page; none is written by default.")
_TASKS = flags.DEFINE_list("tasks", ["tiny_mix", "tiny_choice"], "Packaged tasks.")

PROBLEMS = 2000
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


def lengths(member: str, role: str) -> tuple[float, int, int]:
    """Tokens of a role's prompts, in the mean and at most, and of its replies at most."""
    template = ChatTemplate(load_tokenizer(tiny_pool_path(member)))
    found = []
    for seed in range(PROBLEMS):
        rng = np.random.default_rng(seed)
        speaker = Speaker((str(rng.choice(SKILLS)),))
        problem = draw(str(rng.choice(SKILLS)), rng)
        tokens = tokenize(template, PROTOCOLS[role](speaker, problem, rng))
        found.append((tokens.prompt_length, len(tokens.tokens) - tokens.prompt_length))
    prompts, replies = np.array(found).T
    return prompts.mean(), prompts.max(), replies.max()


def roles() -> TextTable:
    """A row per role: the tokens it takes with either tokenizer of the pool."""
    rows = []
    for role in PROTOCOLS:
        both = [
            (f"{mean:.0f}", str(prompt), str(reply))
            for mean, prompt, reply in (lengths(member, role) for member in ("base", "bpe"))
        ]
        rows.append((role, *both[0], *both[1]))
    names = ("prompt, mean", "prompt, longest", "reply, longest")
    columns = ("role", *names, *(f"tiny:bpe: {name}" for name in names))
    return TextTable(columns, tuple(rows), frozenset(range(1, len(columns))))


def main(_: list[str]) -> None:
    pool = Pool.load([PREFIX + member for member in MEMBERS])
    facts = machine()
    sections = [Section(f"members-{task}", table(pool, task), facts) for task in _TASKS.value]
    sections.append(Section("roles", roles(), facts))
    print(publish(sections, None))
    if _PAGE.value:
        page = pathlib.Path(_PAGE.value)
        page.write_text(fill(page.read_text(), sections))


if __name__ == "__main__":
    app.run(main)
