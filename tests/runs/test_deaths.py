"""A run that dies before or after any step on disk leaves nothing wrong, and counts all it spent.

The deaths are exceptions that nothing catches; `test_killed_run.py` has a few real ones. Answers
are made up without devices, store and ledger are the real ones.
"""

import json
import os
import pathlib
import shutil

import pytest
import toy_methods

from moco_jax import testing
from moco_jax.decoding.engine import Engine
from moco_jax.runs import execution, judgements, run
from moco_jax.runs.directory import find_runs
from moco_jax.runs.store import SqliteStore

VOLATILE = {"seconds", "wall_seconds", "run"}
POOL = testing.dummy_pool(2)


class Death(BaseException):
    """Nothing catches it."""


class MadeUp(Engine):
    """Writes what follows from member and prompt."""

    def _decode(self, call, plan, places, width):
        for index, place in enumerate(places):
            asked = call.requests[place].messages[0].content + call.names[place]
            text = "ABC"[sum(map(ord, asked)) % 3] * (1 + call.requests[place].sample)
            ids = list(range(len(text)))
            record = {"text": text, "reasoning": "", "finish": "stop", "tokens": ids}
            yield index, {**record, "logprobs": [-1.0] * len(ids)}


def made_up_rewards(member, rows):
    for place, row in rows.items():
        yield place, float(sum(row) % 7)


@pytest.fixture(params=["multiple_choice", "reward_model"])
def go(request, monkeypatch, tmp_path):
    """A function that runs in a folder of its own; the configs of all are equal."""
    monkeypatch.setattr(execution, "Engine", MadeUp)
    monkeypatch.setattr(judgements, "_rewards", made_up_rewards)
    judged = request.param == "reward_model"
    settings = {"judges": {"reward_model": testing.dummy_reward_model()}} if judged else {}
    task = testing.dummy_task(request.param, size=3)

    def start(folder, **more):
        (tmp_path / folder).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / folder)
        return run(
            toy_methods.Relay,
            POOL,
            task,
            out="runs",
            sampling=testing.SHORT,
            batch_size=2,
            **settings,
            **more,
        )

    return start


def lasting(value, volatile):
    """A JSON value without some fields."""
    if isinstance(value, dict):
        return {
            name: lasting(part, volatile) for name, part in value.items() if name not in volatile
        }
    return [lasting(part, volatile) for part in value] if isinstance(value, list) else value


def contents(run_dir):
    """By file its bytes, or what has to be equal of it."""
    found = {}
    for path in sorted(run_dir.rglob("*")):
        name = str(path.relative_to(run_dir))
        if path.is_file():
            found[name] = path.read_bytes()
        if name in ("ledger.json", "result.json"):
            found[name] = lasting(json.loads(found[name]), VOLATILE)
    return found


STEPS = [(os, "replace"), (os, "fsync"), (shutil, "rmtree"), (pathlib.Path, "unlink")]


def dying(patch, after, moment):
    """Lets step number `after` be the last, or the first that is not taken."""
    steps = 0

    def mortal(real):
        def call(*args, **kwargs):
            nonlocal steps
            steps += 1
            if steps == after and moment == "before":
                raise Death
            result = real(*args, **kwargs)
            if steps == after:
                raise Death
            return result

        return call

    for owner, name in (*STEPS, (SqliteStore, "put")):
        patch.setattr(owner, name, mortal(getattr(owner, name)))


def die(go, folder, after, moment, **more):
    """Whether the run died."""
    with pytest.MonkeyPatch.context() as patch:
        dying(patch, after, moment)
        try:
            go(folder, **more)
        except Death:
            return True
    return False


def shown():
    """Names of runs that a report shows."""
    return [path.name for path in find_runs("runs")[0]]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_run_that_dies_anywhere_ends_like_an_unbroken_one(go, moment):
    whole = go("whole")
    unbroken = contents(whole.directory.resolve())
    assert unbroken["ledger.json"]["total"]["spent"]["requests"] > 0
    for after in range(1, 1000):
        folder = f"{moment} {after}"
        died = die(go, folder, after, moment)
        assert shown() in ([], [whole.directory.name])
        found = go(folder)
        assert contents(found.directory.resolve()) == unbroken, folder
        assert {path.name for path in pathlib.Path("runs").iterdir() if path.is_dir()} == {
            whole.directory.name
        }
        if not died:
            break
    assert after > 40


def test_a_run_that_dies_again_and_again_counts_all_attempts(go):
    unbroken = contents(go("whole").directory.resolve())
    attempts = 1
    # A little later every time: what stands before the next answer takes steps too
    while die(go, "broken", 4 + attempts, "after"):
        attempts += 1
    assert attempts > 5
    assert contents(go("broken").directory.resolve()) == unbroken


@pytest.mark.parametrize("anew", [True, False])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_run_that_dies_while_it_is_replaced_is_one_run(go, moment, anew):
    whole = go("whole")
    go("whole", anew=True)
    unbroken = contents(whole.directory.resolve())
    name = whole.directory.name
    for after in range(1, 1000):
        folder = f"{moment} {after}"
        go(folder)
        first = contents(pathlib.Path("runs").resolve() / name)
        died = die(go, folder, after, moment, anew=True)
        assert shown() in ([], [name])
        found = go(folder, anew=anew)
        assert contents(found.directory.resolve()) in (unbroken, first), folder
        assert shown() == [name]
        assert not list(pathlib.Path("runs").glob("*.replaced"))
        if not died:
            break
    assert after > 15


def test_what_another_run_computed_is_not_spent(go):
    go("whole")
    again = go("whole", anew=True)
    assert again.cost.spent.requests == 0
    assert again.cost.attributed.requests > 0
