"""Nothing that `fit` or `respond` gets leads to a test answer, however far one looks."""

import dataclasses
import gc
import types
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
import toy_methods

from moco_jax import testing
from moco_jax.method import Method, Workbench
from moco_jax.runs import run
from moco_jax.system import System
from moco_jax.tasks import Gold, Split

TEST_GOLD, TEST_PROMPT, DEV_GOLD = "canary-gold-of-test", "canary-prompt-of-test", "canary-of-dev"
DEAD_ENDS = (types.ModuleType, type, types.FrameType)


def reachable(*roots: Any) -> Iterator[Any]:
    """Everything that attributes, items and closures of `roots` lead to; not module globals."""
    seen = {id(vars(module)) for module in gc.get_objects() if type(module) is types.ModuleType}
    stack = list(roots)
    while stack:
        value = stack.pop()
        if id(value) in seen or isinstance(value, DEAD_ENDS):
            continue
        seen.add(id(value))
        yield value
        stack.extend(gc.get_referents(value))


def holds(text: str, *roots: Any) -> bool:
    return any(text in value for value in reachable(*roots) if isinstance(value, str))


@dataclasses.dataclass(frozen=True)
class Spied(System):
    """Looks around while it answers."""

    def respond(self, items, context):
        FOUND["respond"] = holds(TEST_GOLD, items, context)
        FOUND["respond prompt"] = holds(TEST_PROMPT, items)
        return context.answer(0, items)


@dataclasses.dataclass(frozen=True)
class Spy(Method):
    """Looks around while it fits."""

    name: ClassVar[str] = "spy"

    def fit(self, bench: Workbench) -> Spied:
        FOUND["fit"] = holds(TEST_GOLD, bench)
        FOUND["fit prompt"] = holds(TEST_PROMPT, bench)
        FOUND["dev"] = holds(DEV_GOLD, bench)
        FOUND["scorer"] = holds(DEV_GOLD, bench.scorer)
        return Spied()


FOUND: dict[str, bool] = {}


@pytest.fixture
def task():
    task = testing.dummy_task("exact_match", size=2)
    items = [
        dataclasses.replace(item, prompt=f"{TEST_PROMPT}-{index}")
        for index, item in enumerate(task.test.items)
    ]
    golds = [Gold((f"{TEST_GOLD}-{index}",)) for index in range(2)]
    dev = [Gold((f"{DEV_GOLD}-{index}",)) for index in range(2)]
    return dataclasses.replace(
        task, dev=Split(task.dev.items, tuple(dev)), test=Split(tuple(items), tuple(golds))
    )


def test_the_search_finds_what_is_there(task):
    assert holds(TEST_GOLD, task)
    assert holds(TEST_GOLD, lambda: task)
    assert holds(TEST_GOLD, task.score)
    assert not holds(TEST_GOLD, task.dev)


def test_no_way_leads_to_test_answers(task, tmp_path):
    run(Spy, testing.dummy_pool(1), task, out=tmp_path, sampling=testing.SHORT, batch_size=2)
    assert FOUND == {
        "fit": False,
        "fit prompt": False,
        "dev": True,
        "scorer": True,
        "respond": False,
        "respond prompt": True,
    }


def test_files_hold_no_golds(task, tmp_path):
    result = run(
        toy_methods.Solo,
        testing.dummy_pool(1),
        task,
        out=tmp_path,
        sampling=testing.SHORT,
        batch_size=2,
    )
    for path in result.directory.rglob("*"):
        assert path.is_dir() or "canary-gold" not in path.read_text()
