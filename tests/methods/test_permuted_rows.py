"""The same rows in another order of the file get the same answers."""

import dataclasses
import json

import pytest
from test_battery import CASES, pool_for

from moco_jax import testing
from moco_jax.decoding.engine import Engine
from moco_jax.decoding.types import Sampling
from moco_jax.methods import make_method
from moco_jax.methods.votes import chance
from moco_jax.system import Context
from moco_jax.tasks import load_task

DRAWN = {
    "api_mentor_collab": [{"decision_proportion": 50, "patch_size": 2}],
    "api_switch_generation": [CASES["api_switch_generation"][1]],
    "random_member": [{}],
    "self_consistency": [{}],
    "text_bbmas": CASES["text_bbmas"],
    "text_majority_vote": CASES["text_majority_vote"],
    "text_multiagent_feedback": [{"feedback_count": 1}],
    "text_slm_mux": CASES["text_slm_mux"],
}
"""Methods that draw on the host."""
SAMPLING = Sampling(max_new_tokens=4, temperature=0.7)
OPTIONS = {"A": "red", "B": "green", "C": "blue"}


def rows(kind):
    """Rows that differ; the last two ask the same."""
    asked = [f"{chr(97 + index) * 20}?" for index in (0, 5, 11, 14, 17, 20, 23, 23)]
    if kind == "exact_match":
        return [{"input": text, "output": "1"} for text in asked]
    return [{"question": text, "choices": OPTIONS, "answer": "B"} for text in asked]


def load(tmp_path, kind, name, order):
    test = rows(kind)
    content = {"task_type": kind, "dev": test[:6], "test": [test[place] for place in order]}
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps(content))
    return load_task(path)


def answers(name, settings, task, pool):
    bench = testing.workbench(pool, task.dev, engine=Engine(seed=3, width=8), seed=3)
    system = make_method(name, settings).fit(bench)
    context = Context(pool, Engine(seed=3, width=8), SAMPLING, 3)
    return [response.text for response in system.respond(task.test.items, context)]


@pytest.mark.parametrize("kind", ["multiple_choice", "exact_match"])
@pytest.mark.parametrize(
    ("name", "settings"), [(name, one) for name, settings in DRAWN.items() for one in settings]
)
def test_permuted_rows_have_permuted_answers(tmp_path, name, settings, kind):
    plain = load(tmp_path, kind, "plain", range(8))
    # Rows that ask the same keep their order: nothing else could tell them apart
    order = [6, 2, 5, 0, 7, 4, 1, 3]
    other = load(tmp_path, kind, "permuted", order)
    pool = pool_for(name)
    texts = answers(name, settings, plain, pool)
    assert answers(name, settings, other, pool) == [texts[place] for place in order]
    # Without the rows in front of them the others answer the same
    fewer = load(tmp_path, kind, "fewer", order[2:])
    assert answers(name, settings, fewer, pool)[:2] == [texts[5], texts[0]]


def test_equal_rows_differ_in_their_draws(tmp_path):
    task = load(tmp_path, "exact_match", "plain", range(8))
    keys = [item.key for item in task.test.items]
    assert len(set(keys)) == 8
    assert keys[6].split("/")[0] == keys[7].split("/")[0]
    first, second = (chance(0, "x", key).integers(1 << 40) for key in keys[6:])
    assert first != second


def test_a_key_follows_all_that_is_asked(tmp_path):
    first = load(tmp_path, "multiple_choice", "plain", range(8)).test.items[0]
    changes = {
        "prompt": "p",
        "question": "q",
        "choices": ("a",),
        "kind": "f1_match",
        "group": "g",
        "occurrence": 1,
    }
    changed = [dataclasses.replace(first, **{field: new}) for field, new in changes.items()]
    assert len({first.key, *(item.key for item in changed)}) == 7
    assert dataclasses.replace(first, id="test/99").key == first.key
