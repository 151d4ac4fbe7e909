"""Made-up finished runs: real files, invented answers.

The toy methods of the tests of runs can be imported here too.
"""

import json
import pathlib
import sys
from collections.abc import Callable, Mapping

import numpy as np
import pytest

from moco_jax.decoding.hooks import Charge
from moco_jax.decoding.types import Response, Turn, Usage
from moco_jax.method import Method
from moco_jax.runs import directory as files
from moco_jax.runs import records
from moco_jax.runs.config import RunConfig
from moco_jax.runs.ledger import FIT, RESPOND, SCORE, Ledger
from moco_jax.runs.resolved import Resolved
from moco_jax.runs.result import Alone, summarise
from moco_jax.system import System
from moco_jax.tasks import Task, load_task

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "runs"))

MEMBERS = ("tiny:math", "tiny:words", "tiny:facts")
LETTERS = "ABCD"

MakeRun = Callable[..., pathlib.Path]


def write_task(path: pathlib.Path, size: int = 40, question: str = "What is {i} + {i}?") -> Task:
    """A multiple-choice task whose gold answers go round."""
    rows = [
        {
            "question": question.format(i=i),
            "choices": {letter: f"option {letter} of {i}" for letter in LETTERS},
            "answer": LETTERS[i % 4],
        }
        for i in range(size)
    ]
    record = {"task_type": "multiple_choice", "dev": rows[:5], "test": rows}
    path.write_text(json.dumps(record))
    return load_task(path)


def write_run(
    out: pathlib.Path,
    task: Task,
    method: str = "text_majority_vote",
    *,
    right: float = 0.6,
    seed: int = 42,
    flops: float = 1e9,
    seconds: float = 0.01,
    texts: Mapping[int, str] | None = None,
    members: Mapping[str, float] | None = None,
    hyperparameters: Mapping[str, object] | None = None,
    helpers: Mapping[str, str] | None = None,
    helping: float = 0.6,
) -> pathlib.Path:
    """A finished run whose answers are right with a given probability."""
    rates = members or dict(zip(MEMBERS, (0.6, 0.5, 0.4), strict=True))
    draws = np.random.default_rng([seed, sum(map(ord, method))])

    def answers(speaker: str, rate: float, cost: float, rng: np.random.Generator) -> list[Response]:
        said = []
        for index, gold in enumerate(task.test.golds):
            letter = gold.answers[0] if rng.random() < rate else rng.choice(list(LETTERS))
            text = f"I think it is so. The answer is ({letter})." if rng.random() > 0.05 else "Hm."
            turn = Turn(speaker, "answer", text)
            said.append(
                Response(
                    text=(texts or {}).get(index, text) if speaker == method else text,
                    usage=Usage(80, 12, 13, cost),
                    speaker=speaker,
                    transcript=(turn,) if speaker != method else (turn, turn),
                    notes=(("chosen", MEMBERS[0]),) if speaker == method else (),
                    finish="length" if text == "Hm." else "stop",
                )
            )
        return said

    ours = answers(method, right, flops, draws)
    shared = np.random.default_rng(seed)
    outside = [name for name in (helpers or {}).values() if name not in rates]
    voices = rates | dict.fromkeys(outside, helping)
    said = {name: answers(name, rate, 3e8, shared) for name, rate in voices.items()}
    scores = task.score("test", [response.text for response in ours])
    worth_of = {
        name: task.score("test", [response.text for response in theirs])
        for name, theirs in said.items()
    }
    worth = list(worth_of.values())
    config = RunConfig(method=method, task=task.source, models=tuple(rates), seed=seed)
    resolved = Resolved.of(
        config, _named(method), task, [(name, f"id of {name}") for name in rates], "float32"
    )
    resolved.method["hyperparameters"].update(hyperparameters or {})
    ledger = Ledger()
    for phase, usage in ((FIT, Usage(9, 9, 9, 5e9)), (SCORE, Usage(1, 1, 1, 1.0))):
        with ledger.phase(phase):
            ledger(Charge(MEMBERS[0], "dev", usage, 0.1, False))
    with ledger.phase(RESPOND):
        for response in ours:
            ledger(Charge(MEMBERS[0], "answer", response.usage, seconds, False))
    place = files.RunDirectory(out, resolved.directory_name)
    items, dev = task.test.items, list(rates.values())
    named = {role: (name, worth_of[name]) for role, name in (helpers or {}).items()}
    alone = Alone(dev, worth[: len(rates)], named, worth[0])
    result = summarise(resolved, task, ours, scores, alone, ledger, place.path)
    with place.locked():
        place.write_json(files.CONFIG, resolved.to_record())
        place.write_json(files.LEDGER, ledger.to_json())
        place.write_lines(files.RESPONSES, records.answers(items, ours, scores))
        place.write_lines(files.TRANSCRIPTS, records.transcripts(items, ours))
        for file, names in ((files.SINGLES, list(rates)), (files.HELPERS, outside)):
            rows = [said[name] for name in names], [worth_of[name] for name in names]
            place.write_lines(file, records.singles(names, items, *rows))
        place.write_json(files.RESULT, result.to_record())
        place.finish()
    return place.path


def _named(name: str) -> Method:
    """A method that only has a name."""

    class Named(Method):
        def fit(self, bench: object) -> System:
            raise NotImplementedError

    Named.name = name
    Named.__module__ = "moco_jax.made_up"
    return Named()


@pytest.fixture
def task(tmp_path: pathlib.Path) -> Task:
    return write_task(tmp_path / "sums.json")


@pytest.fixture
def nasty_task(tmp_path: pathlib.Path) -> Task:
    """Questions that would like to be scripts."""
    return write_task(tmp_path / "nasty.json", question="<script>steal({i})</script> and?")


@pytest.fixture
def make_run(tmp_path: pathlib.Path, task: Task) -> MakeRun:
    """Writes a run into `tmp_path / "runs"`; see `write_run`."""

    def make(
        method: str = "text_majority_vote", *, on: Task = task, **settings: object
    ) -> pathlib.Path:
        return write_run(tmp_path / "runs", on, method, **settings)

    return make
