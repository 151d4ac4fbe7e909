"""Configs: ours, the reference's files as they are, and errors that help."""

import json

import pytest

from moco_jax.decoding.types import Sampling
from moco_jax.runs import naming
from moco_jax.runs.config import RunConfig

REFERENCE = {
    "method": "text_multiagent_refine",
    "task": "agieval",
    "task_type": "multiple_choice",
    "gpu_ids": [0, 1, 2],
    "model_names": ["a/b", "c/d", "a/b"],
    "hyperparameters": {
        "round": 2,
        "max_response_length": 256,
        "temperature": 0.5,
        "top_p": 1,
        "batch_size": 8,
        "ratio": 0.5,
        "big_model_mode": False,
        "load_in_8bit": True,
        "max_parallel_generation_models": 2,
        "resume": 0,
        "fast_merge_flag": 1,
    },
}


def write(folder, record):
    path = folder / "config.json"
    path.write_text(json.dumps(record))
    return path


def test_a_file_of_the_reference_is_read_unchanged(tmp_path, caplog):
    config = RunConfig.from_json(write(tmp_path, REFERENCE))
    assert config == RunConfig(
        method="text_multiagent_refine",
        task="agieval",
        models=("a/b", "c/d", "a/b"),
        kind="multiple_choice",
        gpu_ids=(0, 1, 2),
        ratio=0.5,
        batch_size=8,
        sampling=Sampling(max_new_tokens=256, temperature=0.5, top_p=1.0),
        hyperparameters=(("round", 2),),
    )
    assert "load_in_8bit=True has no effect here" in caplog.text


def test_our_own_file_comes_back(tmp_path):
    config = RunConfig(
        method="my_file.py:midpoint",
        task="tiny_mix",
        models=("tiny:math",),
        sampling=Sampling(stop=("\n",), thinking=True),
        hyperparameters=(("weights", (0.5, 0.5)),),
        name="trial",
    )
    assert RunConfig.from_json(write(tmp_path, config.to_record())) == config


def test_defaults_are_the_references():
    config = RunConfig.from_record({"method": "m", "task": "t", "models": ["a"]})
    assert (config.seed, config.ratio, config.batch_size) == (42, 1.0, 32)
    assert config.sampling == Sampling(512, 0.7, 0.9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"modle_names": ["a"]}, "unknown setting 'modle_names': did you mean model_names"),
        ({"temprature": 1}, "did you mean"),
        ({"sampling": {"temprature": 1}}, "did you mean temperature"),
        ({"models": []}, "has no 'models'"),
        ({"seed": "x"}, "seed is 'x'; it must be a whole number"),
        ({"seed": 1.5}, "seed is 1.5"),
        ({"ratio": 2}, "at most 1"),
        ({"dtype": "int4"}, "must be one of float32"),
        ({"hyperparameters": []}, "must be a JSON object"),
        ({"hyperparameters": {"temperature": -1}}, "0 \\(greedy\\) or more"),
        ({"hyperparameters": {"batch_size": 0}}, "at least 1"),
        ({"batch_size": "most"}, "at least 1, or auto"),
        ({"hyperparameters": {"seed": 3}, "seed": 4}, "keep one"),
        ({"gpu_ids": "0"}, "must be a list"),
    ],
)
def test_errors_name_the_thing_and_the_remedy(tmp_path, change, message):
    record = {"method": "m", "task": "t", "models": ["a"]}
    with pytest.raises(ValueError, match=message):
        RunConfig.from_json(write(tmp_path, record | change))


def test_flat_settings_go_where_they_belong():
    config = RunConfig("m", "t", ("a",)).with_settings(
        {"max_response_length": 9, "seed": 7, "k": 2, "use_generation_config": 1, "stop": ["x"]}
    )
    assert config.seed == 7
    assert config.sampling.max_new_tokens == 9
    assert config.sampling.use_generation_config is True
    assert config.sampling.stop == ("x",)
    assert config.hyperparameters == (("k", 2),)
    assert config.with_settings({"k": 3}).hyperparameters == (("k", 3),)


def test_top_k_of_the_blender_is_not_that_of_sampling():
    record = {"method": "text_llm_blender", "task": "t", "models": ["a", "b"]}
    settings = {"hyperparameters": {"top_k": 2}, "sampling": {"top_k": 40}}
    config = RunConfig.from_record({**record, **settings})
    assert (config.hyperparameters, config.sampling.top_k) == ((("top_k", 2),), 40)
    assert RunConfig.from_record(config.to_record()) == config
    made = naming.make_method(config.method, dict(config.hyperparameters))
    assert (made.top_k, naming.recorded(made, {})[-3]) == (2, ("top_k", 2))
    other = RunConfig.from_record({**record, "method": "m", "hyperparameters": {"top_k": 2}})
    assert (other.hyperparameters, other.sampling.top_k) == ((), 2)


def test_do_sample_false_is_greedy():
    config = RunConfig("m", "t", ("a",)).with_settings(
        {"max_response_length": 9, "do_sample": False, "temperature": 0.7}
    )
    assert config.sampling == Sampling(max_new_tokens=9, temperature=0.0)
    assert not RunConfig("m", "t", ("a",)).with_settings({"do_sample": 1}).sampling.greedy


def test_files_that_are_no_config_are_named(tmp_path):
    path = tmp_path / "config.json"
    path.write_text("{")
    with pytest.raises(ValueError, match="not valid JSON"):
        RunConfig.from_json(path)
    path.write_text("[]")
    with pytest.raises(ValueError, match="one JSON object"):
        RunConfig.from_json(path)


def test_a_string_is_one_model():
    assert RunConfig(method="m", task="t", models="tiny:math").models == ("tiny:math",)
    assert naming.sources("tiny:math") == ("tiny:math",)


def test_half_a_character_is_refused_wherever_a_setting_is_text():
    for wrong in ({"name": "\ud83d"}, {"hyperparameters": (("x", ["a", "\ud83d"]),)}):
        with pytest.raises(ValueError, match=r"the config.* holds half a character"):
            RunConfig(method="m", task="t", models=("a",), **wrong)
    with pytest.raises(ValueError, match=r"Sampling.stop\[1\] holds half"):
        Sampling(stop=("a", "\ud83d"))
