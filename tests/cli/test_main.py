import subprocess
import sys
from collections.abc import Callable

import pytest

from moco_jax.cli.main import COMMANDS

Moco = Callable[..., tuple[int, str, str]]


def test_help_is_short_and_names_every_command(moco: Moco) -> None:
    for words in ([], ["--help"], ["help"]):
        code, out, _ = moco(*words)
        assert code == 0
        assert all(f"  {name} " in out for name in COMMANDS)
        assert len(out.splitlines()) < 20


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(moco: Moco, name: str) -> None:
    code, out, _ = moco(name, "--help")
    assert code == 0
    assert out.startswith(f"moco {name}")
    assert "--verbose" in out
    assert max(map(len, out.splitlines())) <= 110


def test_help_of_run_shows_the_true_defaults(moco: Moco) -> None:
    from moco_jax.decoding.types import Sampling

    _, out, _ = moco("run", "--help")
    assert f"(default {Sampling.max_new_tokens})" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rum"], "did you mean moco run?"),
        (["run", "--methd=x"], "Did you mean: method"),
        (["run"], "--method and --task and --models are missing"),
        (["run", "gsm8k"], "run takes flags only, not 'gsm8k'"),
        (["run", "--config=/nowhere.json"], "there is no config file"),
        (["run", "--method=a", "--task=b", "--models=c", "--set", "x"], "must be NAME=VALUE"),
        (["list", "methdos"], "did you mean methods?"),
        (["report", "/nowhere"], "no finished run is in /nowhere"),
        (["ask"], "needs a run directory"),
        (["cache", "wipe"], "takes one of size, verify, clear"),
    ],
)
def test_mistakes_are_one_message(moco: Moco, words: list[str], message: str) -> None:
    code, out, err = moco(*words)
    assert code == 2
    assert message in err
    assert err.startswith("moco: ")
    assert "Traceback" not in err
    assert out == ""


def test_debug_shows_where_an_error_arose(moco: Moco) -> None:
    with pytest.raises(FileNotFoundError):
        moco("report", "/nowhere", "--debug")


def test_an_interrupted_run_says_how_to_go_on(moco: Moco, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setitem(
        COMMANDS,
        "report",
        COMMANDS["report"].__class__(**{**vars(COMMANDS["report"]), "run": interrupted}),
    )
    code, _, err = moco("report", "x")
    assert code == 130
    assert "the same command goes on from there" in err


def test_help_and_lists_do_not_wait_for_jax() -> None:
    script = (
        "import sys; from moco_jax.cli.main import main; main(['--help']); main(['list']); "
        "assert not {'jax', 'transformers', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "moco_jax", "list", "members"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "tiny:math" in done.stdout
