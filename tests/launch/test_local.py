"""The launcher of several local processes: what they get, what is shown, how they end."""

import pathlib
import subprocess
import sys

LAUNCHER = pathlib.Path(__file__).parents[2] / "launch" / "local.py"


def launch(program: str, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(LAUNCHER), *flags, "--", sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_every_process_learns_its_place_and_its_lines_are_told_apart():
    ended = launch("import sys; print(*sys.argv[1:])", "--processes=3", "--port=4711")
    assert ended.returncode == 0, ended.stderr
    assert sorted(ended.stdout.splitlines()) == [
        f"[{i}] --coordinator=localhost:4711 --processes=3 --process={i}" for i in range(3)
    ]


def test_devices_are_dealt_out():
    program = "import os; print(os.environ['XLA_FLAGS'], os.environ['CUDA_VISIBLE_DEVICES'])"
    ended = launch(program, "--processes=2", "--cpu_devices=4", "--gpus=0,1,2,3")
    forced = "--xla_force_host_platform_device_count=4"
    assert sorted(ended.stdout.splitlines()) == [f"[0] {forced} 0,1", f"[1] {forced} 2,3"]
    refused = launch(program, "--processes=2", "--gpus=0,1,2")
    assert refused.returncode != 0
    assert "3 GPUs cannot be dealt out evenly to 2 processes" in refused.stderr + refused.stdout


def test_when_one_fails_the_others_are_stopped_and_its_code_is_returned():
    program = (
        "import sys, time\n"
        "if sys.argv[-1] == '--process=1': sys.exit(7)\n"
        "print('waiting', flush=True); time.sleep(600)"
    )
    assert launch(program, "--processes=2").returncode == 7


def test_a_process_that_will_not_end_is_killed():
    program = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "if sys.argv[-1] == '--process=0': time.sleep(1); sys.exit(3)\n"
        "time.sleep(600)"
    )
    assert launch(program, "--processes=2", "--grace=0.2").returncode == 3


def test_a_missing_command_is_said():
    ended = subprocess.run(
        [sys.executable, str(LAUNCHER)], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode != 0
    assert "what is to be run?" in ended.stdout + ended.stderr
