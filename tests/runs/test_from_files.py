"""A run that is all names: the reference's config, members on disk, a task in a file."""

import json

import pytest

from moco_jax import testing
from moco_jax.pool import Member, Pool
from moco_jax.runs import RunConfig, find_runs, load_system, run, run_config
from moco_jax.runs.directory import RunDirectory

QUESTIONS = ["What is red?", "What is blue?", "What is green?", "What is it?"]


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    places = [str(folder / f"member{index}") for index in range(2)]
    for index in range(2):
        testing.dummy_member("any", index).save(folder / f"member{index}")
    rows = [
        {"question": text, "choices": {"A": "this", "B": "that"}, "answer": "AB"[index % 2]}
        for index, text in enumerate(QUESTIONS)
    ]
    task = {"name": "mine", "task_type": "multiple_choice", "dev": rows, "test": rows}
    (folder / "mine.json").write_text(json.dumps(task))
    record = {
        "method": "text_majority_vote",
        "task": "mine",
        "task_type": "multiple_choice",
        "gpu_ids": [0, 1, 2, 3],
        "model_names": places,
        "hyperparameters": {
            "max_response_length": 4,
            "temperature": 0.7,
            "top_p": 0.9,
            "batch_size": 4,
            "ratio": 0.75,
            "big_model_mode": False,
        },
        "data_dir": str(folder),
        "out": str(folder / "runs"),
    }
    (folder / "config.json").write_text(json.dumps(record))
    return RunConfig.from_json(folder / "config.json")


@pytest.fixture(scope="module")
def result(config):
    return run_config(config)


def test_the_config_decides_everything(config, result):
    assert result.n == 3
    assert [member.name for member in result.members] == list(config.models)
    written = json.loads((result.directory / "config.json").read_text())
    assert written["config"]["gpu_ids"] == [0, 1, 2, 3]
    assert RunConfig.from_json(result.directory / "config.json") == config


def test_a_finished_run_is_found_without_reading_weights(config, result, monkeypatch):
    monkeypatch.setattr(Member, "load", None)
    assert run_config(config) == result


def test_a_pool_loaded_before_is_the_same_run(config, result):
    pool = Pool.load(config.models)
    again = run(
        config.method,
        pool,
        config.task,
        sampling=config.sampling,
        batch_size=4,
        ratio=0.75,
        data_dir=config.data_dir,
        out=config.out,
    )
    assert again.directory == result.directory


def test_its_system_is_loaded_from_its_directory_alone(result):
    (response,) = load_system(result.directory).ask(["What is red?\nA) this\nB) that"])
    assert response.transcript


def test_questions_that_stand_in_dev_are_told(result):
    assert result.leaked == 1.0
    assert f"{result.n} of {result.n} test items ({result.leaked_questions} questions)" in str(
        result
    )


def test_runs_are_found_finished_and_unfinished(config, result):
    place = RunDirectory(config.out, "other-0")
    with place.locked():
        pass
    assert find_runs(config.out) == ([result.directory], [place.work])
    with pytest.raises(FileNotFoundError, match="the run did not finish"):
        load_system(place.work)


def test_one_process_at_a_time(tmp_path):
    place = RunDirectory(tmp_path, "run-0")
    with place.locked(), pytest.raises(RuntimeError, match="another process"), place.locked():
        pass


def test_prompts_that_do_not_fit_are_counted_apart(tmp_path):
    pool = Pool([testing.dummy_member("short", 0, max_positions=40)])
    task = testing.dummy_task(size=3)
    found = run("single_model", pool, task, out=tmp_path, sampling=testing.SHORT, batch_size=2)
    assert (found.over_length, found.unparsed, found.cut, found.score) == (1, 1, 0, 0)
    assert found.cost.attributed.requests == 0
