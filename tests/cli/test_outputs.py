"""What cannot be written, and devices that are not there, are found before anything runs."""

import os
import pathlib
import subprocess
import sys
from collections.abc import Callable

import jax
import pytest

from moco_jax.cli import environment, outputs
from moco_jax.runs import runner

Moco = Callable[..., tuple[int, str, str]]


@pytest.fixture
def nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails where anything is run."""

    def refuse(*args: object, **settings: object) -> None:
        raise AssertionError("a run was started")

    monkeypatch.setattr(runner, "run_config", refuse)
    monkeypatch.setattr(runner, "run", refuse)
    monkeypatch.setattr("moco_jax.cli.compare._compare", refuse)


def command(name: str, models: list[str], task_file: str) -> list[str]:
    plural = "s" if name == "compare" else ""
    return [
        name,
        f"--method{plural}=text_majority_vote",
        f"--task{plural}={task_file}",
        f"--models={','.join(models)}",
        "--compilation_cache=none",
    ]


@pytest.mark.parametrize("name", ["run", "compare"])
def test_an_out_that_is_no_folder_is_found_first(
    moco: Moco,
    tmp_path: pathlib.Path,
    models: list[str],
    task_file: str,
    name: str,
    nothing_runs: None,
) -> None:
    (tmp_path / "afile").write_text("")
    for out in (tmp_path / "afile", tmp_path / "afile" / "deeper"):
        code, shown, err = moco(*command(name, models, task_file), f"--out={out}")
        assert code == 2
        assert f"{tmp_path / 'afile'} is a file, and --out needs a folder there" in err
        assert shown == "" and "Errno" not in err


@pytest.mark.parametrize("name", ["run", "compare"])
def test_an_out_that_cannot_be_written_is_found_first(
    moco: Moco, models: list[str], task_file: str, name: str, nothing_runs: None
) -> None:
    code, _, err = moco(*command(name, models, task_file), "--out=/proc/no/such")
    assert code == 2
    assert "--out: /proc/no/such cannot be written to (" in err
    assert "Errno" not in err


@pytest.mark.parametrize("where", ["/proc/no/report.html", "{folder}", "{folder}/afile/r.html"])
def test_an_html_that_cannot_be_written_is_found_first(
    moco: Moco,
    tmp_path: pathlib.Path,
    models: list[str],
    task_file: str,
    where: str,
    nothing_runs: None,
) -> None:
    (tmp_path / "afile").write_text("")
    html = f"--html={where.format(folder=tmp_path)}"
    compare = command("compare", models, task_file)
    for words in ([*compare, f"--out={tmp_path / 'runs'}"], ["report", str(tmp_path)]):
        code, _, err = moco(*words, html)
        assert code == 2
        assert "--html" in err and "Errno" not in err


def test_what_can_be_written_is_left_as_it_is(tmp_path: pathlib.Path) -> None:
    (tmp_path / "report.html").write_text("before")
    outputs.check_file("html", str(tmp_path / "report.html"))
    outputs.check_file("html", str(tmp_path / "new" / "other.html"))
    outputs.check_file("html", None)
    outputs.check_folder("out", str(tmp_path / "deep" / "runs"))
    assert (tmp_path / "report.html").read_text() == "before"
    assert not (tmp_path / "new" / "other.html").exists()
    assert not list((tmp_path / "deep" / "runs").iterdir())


@pytest.mark.parametrize("error", [AssertionError(), RuntimeError("Unable to initialize backend")])
@pytest.mark.parametrize("asked", ["cuda", "gpu", "tpu", "nonsense", "cuda,cpu"])
def test_missing_devices_are_one_plain_message(
    moco: Moco,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: pathlib.Path,
    asked: str,
    error: Exception,
) -> None:
    def fail(*args: object) -> None:
        raise error

    monkeypatch.setattr(jax, "devices", fail)
    monkeypatch.setattr(outputs, "check_file", fail)
    monkeypatch.setenv("JAX_PLATFORMS", asked)
    code, out, err = moco("report", str(tmp_path))
    assert (code, out) == (2, "")
    assert err.startswith(f"moco: JAX finds no {asked} device")
    assert "unset JAX_PLATFORMS" in err and len(err.splitlines()) == 1


def test_an_assertion_of_ours_is_a_bug_and_shown_as_one(
    moco: Moco, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    def fail(*args: object) -> None:
        raise AssertionError("ours")

    monkeypatch.setattr(outputs, "check_file", fail)
    with pytest.raises(AssertionError, match="ours"):
        moco("report", str(tmp_path))
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    assert environment.missing_devices() is None


@pytest.mark.skipif(jax.default_backend() == "gpu", reason="there is a GPU")
def test_jax_without_a_gpu_says_so() -> None:
    script = "import sys; from moco_jax.cli.main import main; sys.exit(main(sys.argv[1:]))"
    words = ["run", "--method=best_on_dev", "--task=tiny_mix", "--models=tiny:math"]
    done = subprocess.run(
        [sys.executable, "-c", script, *words, "--compilation_cache=none"],
        capture_output=True,
        text=True,
        env={**os.environ, "JAX_PLATFORMS": "cuda"},
    )
    assert done.returncode == 2
    assert "moco: JAX finds no cuda device" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["run", "compare"])
def test_members_are_separated_by_commas(moco: Moco, name: str) -> None:
    code, _, err = moco(name, "--models", "tiny:math", "tiny:words")
    assert code == 2
    assert "not 'tiny:words'" in err and "separated by commas" in err and "--models=a,b" in err


@pytest.mark.parametrize("name", ["serve", "merge", "export", "train"])
def test_no_command_is_offered_that_is_another(moco: Moco, name: str) -> None:
    code, _, err = moco(name)
    assert code == 2
    assert "did you mean" not in err
    assert f"there is no command {name!r}: there are run, compare" in err


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("rum", "run"), ("comapre", "compare"), ("repot", "report"), ("lst", "list")],
)
def test_a_misspelt_command_is_offered(moco: Moco, typed: str, meant: str) -> None:
    assert f"did you mean moco {meant}?" in moco(typed)[2]
