"""Dummy members, tasks and engines for tests of methods: nothing is read from disk or network.

A new method's tests need three lines:

    task = testing.dummy_task("multiple_choice")
    bench = testing.workbench(testing.dummy_pool(3), task.dev)
    responses = MyMethod().fit(bench).respond(task.test.items, bench)

`ScriptedEngine` in place of real decoding lets a test write down what every member says and compare
the whole transcript with what the protocol should have said.
"""

from moco_jax.testing.judges import dummy_encoder, dummy_reward_model, save_encoder
from moco_jax.testing.members import (
    dummy_adapters,
    dummy_member,
    dummy_pool,
    dummy_tokenizer,
)
from moco_jax.testing.scripted import ScriptedEngine
from moco_jax.testing.tasks import SHORT, check, dummy_task, make_split, workbench

__all__ = [
    "SHORT",
    "ScriptedEngine",
    "check",
    "dummy_adapters",
    "dummy_encoder",
    "dummy_member",
    "dummy_pool",
    "dummy_reward_model",
    "dummy_task",
    "dummy_tokenizer",
    "make_split",
    "save_encoder",
    "workbench",
]
