"""What a run is named after."""

import dataclasses
import sys

import pytest

from moco_jax import testing
from moco_jax.methods import make_method, prompts, quoting, resolve
from moco_jax.methods.text import blackboard
from moco_jax.runs.config import RunConfig
from moco_jax.runs.resolved import Resolved
from moco_jax.trees import task_vectors


@pytest.mark.parametrize(("used", "same"), [(True, False), (False, True)])
def test_own_settings_count_where_they_are_used(used, same):
    sampling = dataclasses.replace(testing.SHORT, use_generation_config=used)
    config = RunConfig(method="single_model", task="t", models=("a",), sampling=sampling)
    method, task = make_method("single_model", {}), testing.dummy_task("multiple_choice", 2)
    found = {
        Resolved.of(config, method, task, [("a", "x")], "float32", (), [{"temperature": t}]).digest
        for t in (0.3, 3.0)
    }
    assert (len(found) == 1) == same


def digest_of(method):
    config = RunConfig(method=method.name, task="t", models=("a",))
    task = testing.dummy_task("multiple_choice", 2)
    return Resolved.of(config, method, task, [("a", "x")], "float32").digest


@pytest.mark.parametrize(
    ("name", "settings", "place", "changed"),
    [
        ("api_prompt_routing", {"model_descriptions": ["a"]}, prompts, "route"),
        ("text_multiagent_refine", {}, prompts, "refine"),
        ("text_multiagent_refine", {}, quoting, "fit"),
        ("text_bbmas", {}, blackboard, "named_action"),
        ("weight_ties", {"base_model": "x"}, task_vectors.TaskVectorMerge, "__call__"),
    ],
)
def test_code_that_a_method_leads_to_counts(name, settings, place, changed, monkeypatch):
    other = make_method("random_member", {})
    method = make_method(name, settings)
    before, others = digest_of(method), digest_of(other)
    monkeypatch.setattr(place, changed, lambda *_, **__: "something else")
    assert digest_of(method) != before
    assert digest_of(other) == others


METHOD = """
import dataclasses
from typing import ClassVar
import helper_of_mine
import moco_jax as moco

@dataclasses.dataclass(frozen=True)
class Mine(moco.Method):
    name: ClassVar[str] = "mine"
    def fit(self, bench):
        return helper_of_mine.made(bench)
"""


def test_a_helper_module_of_a_user_s_method_counts_and_its_remarks_do_not(tmp_path, monkeypatch):
    bodies = (
        "def made(bench): return 1",
        'def made(bench):\n    """Says so."""\n    # One\n    return (1)',
        "def made(bench): return 2",
    )
    found = []
    for number, body in enumerate(bodies):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "mine.py").write_text(METHOD)
        (folder / "helper_of_mine.py").write_text(body)
        with monkeypatch.context() as patch:
            patch.syspath_prepend(str(folder))
            patch.delitem(sys.modules, "helper_of_mine", raising=False)
            found.append(digest_of(resolve(f"{folder}/mine.py:Mine")()))
        sys.modules.pop("helper_of_mine", None)
    assert found[0] == found[1]
    assert found[2] != found[0]
