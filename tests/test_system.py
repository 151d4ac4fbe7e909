"""Systems: what they are given, how they are saved, and what is refused when they load."""

import dataclasses
import json

import numpy as np
import pytest

from moco_jax.decoding.combine import WEIGHTED_LOGITS
from moco_jax.decoding.types import Request
from moco_jax.system import Context, System, question, restore_system
from moco_jax.testing import SHORT, ScriptedEngine, dummy_pool, dummy_task

ITEMS = dummy_task().test.items


@dataclasses.dataclass(frozen=True)
class Echo(System):
    """Says which members were chosen."""

    chosen: tuple[int, ...]
    weights: tuple[tuple[float, ...], ...] = ()

    def respond(self, items, context):
        return context.ask([(self.chosen[0], question(item)) for item in items])


def context(answer=lambda name, request: f"{name} on {request.item}") -> Context:
    return Context(dummy_pool(3), ScriptedEngine(answer), SHORT, seed=0)


def test_systems_come_back_equal(tmp_path):
    system = Echo((2, 0), ((0.1, 0.2), (1.0, 2.0)))
    system.save(tmp_path)
    assert restore_system(tmp_path) == system


def test_what_is_no_system_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="did not finish"):
        restore_system(tmp_path)
    record = {"class": "collections:OrderedDict", "fields": {}}
    (tmp_path / "system.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match="not a System"):
        restore_system(tmp_path)


def test_members_are_asked_in_the_order_of_the_asks():
    said = context().ask([(1, Request.user("x", item="a")), (0, Request.user("y", item="b"))])
    assert [response.text for response in said] == ["dummy:1 on a", "dummy:0 on b"]


def test_answer_puts_every_item_to_one_member():
    there = context()
    there.answer(2, ITEMS, sample=4, purpose="dev")
    assert [name for name, _ in there.engine.asked] == ["dummy:2"] * len(ITEMS)
    assert {(r.sample, r.purpose) for _, r in there.engine.asked} == {(4, "dev")}
    assert [r.messages[-1].content for _, r in there.engine.asked] == [i.prompt for i in ITEMS]


def test_joined_members_speak_with_one_voice():
    there = context()
    theta = np.ones((2, 2), np.float32)
    said = there.join([0, 2], [question(item) for item in ITEMS[:2]], WEIGHTED_LOGITS, theta)
    assert [response.speaker for response in said] == ["dummy:0+dummy:2"] * 2
