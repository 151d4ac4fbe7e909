"""A run of the command line, started as several processes by one command."""

import json
import pathlib
import subprocess
import sys

LAUNCHER = pathlib.Path(__file__).parents[2] / "launch" / "local.py"


def test_two_processes_share_one_run_and_one_of_them_talks(tmp_path):
    flags = [
        "--method=single_model",
        "--task=tiny_mix",
        "--models=tiny:math",
        "--ratio=0.02",
        "--batch_size=2",
        "--max_new_tokens=2",
        "--mesh=data=2",
        f"--out={tmp_path}",
    ]
    command = [sys.executable, "-m", "moco_jax", "run", *flags]
    ended = subprocess.run(
        [sys.executable, str(LAUNCHER), "--processes=2", "--cpu_devices=1", "--", *command],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    talking = [line for line in ended.stdout.splitlines() if "score" in line]
    assert len(talking) == 1
    assert talking[0].startswith("[0]")
    (found,) = tmp_path.glob("*/config.json")
    record = json.loads(found.read_text())
    assert record["config"]["mesh"] == "data=2"
    assert record["devices"]["processes"] == 2
