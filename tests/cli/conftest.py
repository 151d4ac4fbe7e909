"""Checkpoints of random members, a small task, and command lines about them."""

import json
import pathlib
from collections.abc import Callable

import pytest

from moco_jax import testing
from moco_jax.cli.main import main

Moco = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Directories of two random members."""
    folder = tmp_path_factory.mktemp("members")
    for index, member in enumerate(testing.dummy_pool(2)):
        member.save(folder / f"m{index}")
    return [str(folder / f"m{index}") for index in range(2)]


@pytest.fixture(scope="session")
def task_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A multiple-choice task of eight questions."""
    rows = [
        {"question": f"{i}?", "choices": {"A": "red", "B": "green"}, "answer": "AB"[i % 2]}
        for i in range(8)
    ]
    path = tmp_path_factory.mktemp("tasks") / "colours.json"
    path.write_text(json.dumps({"task_type": "multiple_choice", "dev": rows, "test": rows}))
    return str(path)


@pytest.fixture
def moco(capsys: pytest.CaptureFixture[str]) -> Moco:
    """Runs a command line in this process; gives exit code, output and errors."""

    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return call


@pytest.fixture(scope="session")
def finished(
    models: list[str], task_file: str, tmp_path_factory: pytest.TempPathFactory
) -> pathlib.Path:
    """A folder with a finished run."""
    out = tmp_path_factory.mktemp("runs")
    command = [
        "run",
        "--method=text_majority_vote",
        f"--task={task_file}",
        f"--models={','.join(models)}",
        "--max_new_tokens=4",
        f"--out={out}",
        "--compilation_cache=none",
    ]
    assert main(command) == 0
    return out
