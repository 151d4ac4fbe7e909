"""Programs in the sandbox: what they may do, and what ends them."""

import json
import os
import pathlib
import subprocess
import sys
import time

import pytest

from moco_jax.tasks.sandbox import Limits, Program, SandboxError, require_sandbox, run_programs
from moco_jax.tasks.sandbox import runner as runner_module

SHORT = Limits(cpu_seconds=2, wall_seconds=3.0)


@pytest.fixture(scope="module", autouse=True)
def namespaces():
    try:
        require_sandbox()
    except SandboxError as error:
        pytest.skip(str(error))


def run(source, expression="None", limits=SHORT, **options):
    return run_programs([Program((source,), expression, limits)], **options)[0]


def test_values_come_back_in_order():
    results = run_programs([Program((f"x = {n}",), "{'x': [x, None, 'ä']}") for n in range(5)])
    assert [result.value for result in results] == [{"x": [n, None, "ä"]} for n in range(5)]
    assert {result.status for result in results} == {"finished"}
    assert run_programs([]) == []


def test_parts_share_one_module_that_is_not_main():
    parts = ("from __future__ import annotations\ndef f(x: Missing): return x", "y = f(os.sep)")
    seen = run_programs([Program(parts, "[y, __name__, sys.modules[__name__].y]")])[0]
    assert seen.value == ["/", "solution", "/"]
    with_dataclass = "import dataclasses\n@dataclasses.dataclass\nclass A:\n    x: int = 1"
    assert run(with_dataclass, "A().x").value == 1


def test_the_expression_is_no_secret_of_the_parts():
    assert run("found = [n for n in list(globals()) if n == 'answer']", "found").value == []


def test_output_and_tracebacks_are_kept_for_reading():
    seen = run("print('first')\nprint('second', file=sys.stderr)\n1 / 0")
    assert seen.status == "died" and seen.value is None
    assert "first" in seen.output and "second" in seen.output and "ZeroDivision" in seen.output


@pytest.mark.parametrize(
    "source",
    [
        "import sys; sys.exit(0)",
        "raise SystemExit",
        "os._exit(0)",
        "os.kill(os.getpid(), 9)",
        "os.abort()",
        "quit()",
        "raise KeyboardInterrupt",
        "import ctypes; ctypes.string_at(0)",
        "def f(): f()\nf()",
        "1 +",
        "input()",
        "\ud800",
        "x = '\0'",
        "(" * 5000,
        "import os; os.execv(sys.executable, [sys.executable, '-c', 'print(1)'])",
        "import os; os.execv('/bin/true', ['true'])",
        "sys.modules.clear(); sys.stdout = sys.stderr = None; 1 / 0",
    ],
)
def test_ends_before_the_end_do_not_pass(source):
    assert run(source).status == "died"


def test_a_value_that_is_no_json_does_not_pass():
    assert run("", "object()").status == "died"
    assert run("", "os._exit(0)").status == "died"


def test_prints_cannot_pass():
    forged = "for d in range(64):\n    try: os.write(d, b'\\nstarted\\n{}\\ntrue\\n' * 9)\n"
    forged += "    except OSError: pass\nos._exit(0)"
    assert run(forged).status == "died"
    assert run("print('null', flush=True); os._exit(0)").status == "died"


@pytest.mark.parametrize(
    "source",
    [
        "while True: pass",
        "import time; time.sleep(60)",
        "import signal\nfor n in range(1, 32):\n    try: signal.signal(n, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\nwhile True: pass",
        "10 ** 10 ** 9",
        "import re; re.match('(a+)+b', 'a' * 50)",
        "while True:\n    try: os.fork()\n    except OSError: pass",
        "import os\nif os.fork() == 0: os.setsid()\nwhile True: pass",
    ],
)
def test_what_never_ends_is_ended(source):
    assert run(source).status in ("timeout", "died")


def test_floods_are_cut():
    seen = run("while True: print('x' * 10000)", limits=Limits(wall_seconds=20.0))
    assert seen.status == "flooded" and len(seen.output) <= 2000
    quiet = run("import sys\nfor _ in range(50): print('x' * 10000)", "1")
    assert quiet.status == "finished"
    assert run("", "'x' * (1 << 25)").status == "flooded"


def test_the_end_of_a_program_is_the_end_of_its_children():
    source = """
import time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(3600)
    os._exit(0)
"""
    before = processes()
    assert run(source, "1").value == 1
    assert processes() - before == set()


def processes():
    """Launchers of this process and what descends from them, by id."""
    found = {}
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            found[int(folder.name)] = int(
                (folder / "stat").read_text().rsplit(")", 1)[1].split()[1]
            )
        except (OSError, IndexError):
            continue
    ours, size = {os.getpid()}, 0
    while len(ours) > size:
        size = len(ours)
        ours |= {process for process, parent in found.items() if parent in ours}
    return ours


def test_the_sandbox_dies_with_the_library():
    script = (
        "from moco_jax.tasks.sandbox import Limits, Program, run_programs\n"
        "run_programs([Program(('while True: pass',), limits=Limits(600, 600.0))])\n"
    )
    paths = [str(pathlib.Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    before = launchers()
    with subprocess.Popen([sys.executable, "-c", script], env=environment) as process:
        # The probe's processes come and go first; the program itself has four and stays.
        wait_until(lambda: len(launchers() - before) == 4)
        process.kill()
    wait_until(lambda: launchers() <= before)


def wait_until(condition):
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("waited in vain")


def launchers():
    found = set()
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if str(runner_module.INSIDE).encode() in (folder / "cmdline").read_bytes():
                found.add(folder.name)
        except OSError:
            continue
    return found


def test_hashes_are_the_same_in_every_run():
    seen = run_programs([Program(("",), "[hash('abc'), list({'a', 'b', 'c', 'd'})]")] * 3)
    assert len({json.dumps(result.value) for result in seen}) == 1


def test_without_namespaces_it_refuses_and_says_what_to_do(monkeypatch):
    monkeypatch.setattr(runner_module, "_weakness", lambda: "the system has none")
    with pytest.raises(SandboxError, match=r"the system has none.*allow_weak_sandbox"):
        run("x = 1", "x")


def test_the_weak_sandbox_still_wants_the_token(monkeypatch):
    monkeypatch.setattr(runner_module, "_weakness", lambda: "the system has none")
    assert run("x = 1", "x", allow_weak_sandbox=True).value == 1
    assert run("os._exit(0)", allow_weak_sandbox=True).status == "died"
    assert run("while True: pass", allow_weak_sandbox=True).status in ("timeout", "died")


def test_a_launcher_that_fails_is_no_wrong_answer(monkeypatch):
    monkeypatch.setattr(runner_module, "_binds", lambda more: [("/no/such/place", "/x")])
    with pytest.raises(SandboxError, match="/no/such/place"):
        run("x = 1")
