"""A coding task from file to scores, and what happens where programs cannot be run."""

import json

import pytest

from moco_jax import testing
from moco_jax.decoding.engine import Engine
from moco_jax.runs import execution, naming
from moco_jax.runs.config import RunConfig
from moco_jax.runs.runner import run
from moco_jax.tasks.sandbox import SandboxError, require_sandbox, runner
from moco_jax.tasks.task import Task

ROW = {
    "input": "Square it. Your code should pass this test case: assert square(2) == 4",
    "test": "def check(candidate):\n    assert candidate(2) == 4",
    "language": "python",
}


@pytest.fixture
def data_dir(tmp_path):
    task = {"task_type": "coding", "dev": [ROW], "test": [ROW, ROW]}
    (tmp_path / "squares.json").write_text(json.dumps(task))
    return str(tmp_path)


def config(data_dir, **settings):
    record = {"method": "single_model", "task": "squares", "models": ["tiny:a"], **settings}
    return RunConfig.from_record({**record, "data_dir": data_dir})


def test_without_namespaces_no_model_is_asked(data_dir, monkeypatch):
    monkeypatch.setattr(runner, "_weakness", lambda: "the system has none")
    with pytest.raises(SandboxError, match="--allow_weak_sandbox"):
        naming.make_task("squares", config(data_dir))
    loaded = naming.make_task("squares", config(data_dir, allow_weak_sandbox=True))
    assert isinstance(loaded, Task) and loaded.allow_weak_sandbox
    scores = loaded.score("test", ["def square(x): return x * x", "def square(x): return x"])
    assert [score.value for score in scores] == [1.0, 0.0]


def test_a_coding_task_runs_from_end_to_end(data_dir, tmp_path):
    try:
        require_sandbox()
    except SandboxError as error:
        pytest.skip(str(error))
    pool = testing.dummy_pool(1)
    result = run(
        "single_model",
        pool,
        "squares",
        data_dir=data_dir,
        out=str(tmp_path / "runs"),
        sampling=testing.SHORT,
    )
    assert result.n == 2 and sum(result.outcomes.values()) == 2


class Programmer(Engine):
    """Every member writes the same program, without devices."""

    def _decode(self, call, plan, places, width):
        text = "```python\ndef square(x):\n    return x * x\n```"
        record = {"text": text, "reasoning": "", "finish": "stop", "tokens": [1]}
        for index in range(len(places)):
            yield index, {**record, "logprobs": [-1.0]}


@pytest.mark.parametrize("method", ["single_model", "best_on_dev", "weight_greedy_soup"])
def test_dev_is_scored_without_namespaces_where_that_is_allowed(
    method, data_dir, tmp_path, monkeypatch
):
    monkeypatch.setattr(runner, "_weakness", lambda: "the system has none")
    monkeypatch.setattr(execution, "Engine", Programmer)
    settings = {"data_dir": data_dir, "out": str(tmp_path / "runs"), "sampling": testing.SHORT}
    pool = testing.dummy_pool(1 if method == "single_model" else 2)
    result = run(method, pool, "squares", allow_weak_sandbox=True, **settings)
    assert result.score == 1.0
    assert result.best_single.dev == 1.0
    with pytest.raises(SandboxError, match="--allow_weak_sandbox"):
        run(method, pool, "squares", anew=True, **settings)
