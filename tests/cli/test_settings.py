import json
import pathlib

import pytest

from moco_jax.cli import settings
from moco_jax.cli.run import COMMAND
from moco_jax.runs.config import RunConfig

REFERENCE = {
    "method": "text_multiagent_refine",
    "task": "gsm8k",
    "task_type": "exact_match",
    "gpu_ids": [0, 1],
    "model_names": ["a", "b"],
    "hyperparameters": {"max_response_length": 100, "temperature": 0.2, "round": 3},
}


def config_of(*arguments: str) -> RunConfig:
    parsed, _ = COMMAND.parse(arguments)
    record = settings.read_config(parsed["config"]) | parsed.given(("method", "task", "kind"))
    given = parsed.given(("seed", "name", "prompt_template"))
    return settings.make_config(parsed, record, given | settings.parse_settings(parsed["set"]))


@pytest.fixture
def reference(tmp_path: pathlib.Path) -> str:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(REFERENCE))
    return str(path)


def test_flags_alone_make_a_config() -> None:
    config = config_of("--method=m", "--task=t", "--models=a,b", "--seed=3", "--top_p=0.5")
    assert (config.method, config.task, config.models) == ("m", "t", ("a", "b"))
    assert (config.seed, config.sampling.top_p) == (3, 0.5)
    assert (
        config.sampling.temperature
        == RunConfig(method="m", task="t", models=("a",)).sampling.temperature
    )


@pytest.mark.parametrize("flag", ["-c", "--config", "--config_file"])
def test_the_references_files_are_read(reference: str, flag: str) -> None:
    config = config_of(flag, reference)
    assert config.models == ("a", "b")
    assert config.sampling.max_new_tokens == 100
    assert dict(config.hyperparameters) == {"round": 3}


def test_flags_win_over_the_file(reference: str) -> None:
    config = config_of(
        "--config",
        reference,
        "--models=c",
        "--temperature=0",
        "--set=round=5",
        "--task=math",
        "--max_new_tokens=7",
    )
    assert (config.models, config.task) == (("c",), "math")
    assert (config.sampling.temperature, config.sampling.max_new_tokens) == (0.0, 7)
    assert dict(config.hyperparameters) == {"round": 5}


def test_settings_are_json_or_text() -> None:
    found = settings.parse_settings(["a=1", "b=[1, 2]", "c=fast", "d=true", "e=x=y", 'f="1"'])
    assert found == {"a": 1, "b": [1, 2], "c": "fast", "d": True, "e": "x=y", "f": "1"}


def test_a_setting_goes_where_it_belongs() -> None:
    config = config_of("--method=m", "--task=t", "--models=a", "--set", "top_k=5", "--set=z=1")
    assert config.sampling.top_k == 5
    assert config.hyperparameters == (("z", 1),)


def test_a_broken_file_is_named(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "broken.json"
    path.write_text("{")
    with pytest.raises(ValueError, match=r"broken\.json is not valid JSON"):
        settings.read_config(str(path))
    path.write_text("[]")
    with pytest.raises(ValueError, match="must hold one JSON object, not a list"):
        settings.read_config(str(path))
