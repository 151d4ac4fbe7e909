"""What programs that measure GPU code see; files stand for the nodes of a GPU."""

import os
import pathlib
import shutil

import pytest

from moco_jax.tasks import SCORERS, Item, score_items
from moco_jax.tasks.sandbox import Limits, Program, Result, SandboxError, require_sandbox, runner
from moco_jax.tasks.sandbox.gpu import find_gpu

SHOWN = ("nvidia0", "nvidia11", "nvidiactl", "nvidia-uvm", "nvidia-uvm-tools")
HIDDEN = ("nvidia-modeset", "nvidia-nvswitchctl", "sda", "nvidiafoo", "mem")


@pytest.fixture
def machine(tmp_path):
    """A folder that looks like a machine with GPUs."""
    for name in (*SHOWN, *HIDDEN, "nvidia-caps/nvidia-cap1", "nvidia-caps/other"):
        (tmp_path / "dev" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "dev" / name).write_text(name)
    for folder in ("proc/driver/nvidia", "usr/local/nvidia/lib64", "usr/bin", "home/me"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


def test_only_the_nodes_that_computing_needs_are_shown(machine):
    found = find_gpu(str(machine))
    names = sorted((*SHOWN, "nvidia-caps/nvidia-cap1"))
    assert found.devices == tuple((str(machine / "dev" / n), f"/dev/{n}") for n in names)
    assert found.places == ("/usr/bin", "/usr/local/nvidia/lib64")
    assert found.proc == ("/proc/driver/nvidia",)
    assert found.environment["LD_LIBRARY_PATH"] == "/usr/local/nvidia/lib64"
    assert set(found.environment) == {"CUDA_HOME", "PATH", "LD_LIBRARY_PATH"}


def test_a_machine_without_devices_shows_none(tmp_path):
    assert find_gpu(str(tmp_path)).devices == ()


@pytest.fixture
def walls():
    try:
        require_sandbox()
    except SandboxError as error:
        pytest.skip(str(error))


LIMITS = Limits(memory_bytes=1 << 44, processes=64)


def ran(source, expression, *, gpu):
    program = Program((source,), expression, LIMITS, gpu=gpu)
    result = runner._run(program, isolate=True)
    assert result.status == "finished", result.output
    return result.value


def test_nodes_reach_only_programs_for_the_gpu(machine, walls, monkeypatch):
    real, fake = find_gpu(), find_gpu(str(machine))
    shown = type(real)(fake.devices, real.places, real.proc, real.environment)
    monkeypatch.setattr(runner, "find_gpu", lambda: shown)
    listed = "sorted(os.listdir('/dev'))"
    assert ran("", listed, gpu=False) == ["null", "urandom"]
    assert ran("", listed, gpu=True) == sorted(("null", "urandom", "nvidia-caps", *SHOWN))
    assert ran("", "open('/dev/nvidia0').read()", gpu=True) == "nvidia0"


OPEN = """
def denied(path, mode="w"):
    try:
        open(path, mode).close()
    except OSError:
        return True
    return False
"""


def test_everything_else_stays_behind_the_walls(walls):
    repository = str(pathlib.Path(__file__).parents[2] / "setup.py")
    outside = ("/etc/passwd", "/etc/shadow", "/home", "/sys", repository, "/dev/shm", "/dev/mem")
    assert ran("", f"[p for p in {outside!r} if os.path.exists(p)]", gpu=True) == []
    for path in ("/usr/bin/own", "/dev/own", "/proc/sys/kernel/hostname"):
        assert ran(OPEN, f"denied({path!r})", gpu=True) is True
    keeper = "denied('/proc/1/environ', 'r') and denied('/proc/1/mem', 'rb')"
    assert ran(OPEN, keeper, gpu=True) is True
    own = "sum(name.isdigit() for name in os.listdir('/proc'))"
    assert ran("", own, gpu=True) <= 2
    source = OPEN + "import socket\nconnect = socket.socket().connect_ex\n"
    assert ran(source, "connect(('127.0.0.1', 22)) != 0", gpu=True) is True
    assert os.environ.get("HOME") != ran("", "os.environ['HOME']", gpu=True) == "/box"


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no compiler")
def test_programs_for_the_gpu_can_compile(walls):
    source = "import ctypes, subprocess\nopen('a.c', 'w').write('int f(int x) { return x + 1; }')\n"
    source += "subprocess.run('gcc -shared -o a.so a.c', shell=True, check=True)\n"
    assert ran(source, "ctypes.CDLL('/box/a.so').f(2)", gpu=True) == 3


ITEM = Item(id="dev/0", prompt="q", question="q", kind="kernel_bench")
CODE = "class ModelNew: pass"


@pytest.fixture
def with_cuda(monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


def test_what_the_programs_say_becomes_the_score(with_cuda):
    gold = SCORERS["kernel_bench"].read({"level": 1, "input": "x"}).gold

    def scored(*results):
        return score_items(
            [ITEM] * len(results),
            [gold] * len(results),
            [CODE] * len(results),
            runner=lambda programs: [check(p, r) for p, r in zip(programs, results, strict=True)],
        )

    def check(program, result):
        assert program.gpu and program.limits.wall_seconds == 300
        return result

    fast, slow = (Result("finished", [True, True, ms, 10.0], "") for ms in (1.0, 20.0))
    wrong = Result("finished", [True, False, -1.0, 10.0], "")
    found = scored(fast, slow, wrong, Result("timeout", None, ""))
    assert [score.value for score in found] == [1.0, 0.25, 0.0, 0.0]
    with pytest.raises(ValueError, match="sees no CUDA device"):
        scored(Result("finished", [], ""))


def test_a_gpu_that_the_sandbox_cannot_show_is_told_before_the_first_answer(walls, monkeypatch):
    monkeypatch.setattr(runner, "_gpu_weakness", lambda: "CUDA died: cuInit returned 100")
    with pytest.raises(SandboxError, match=r"cuInit returned 100.*allow_weak_sandbox"):
        require_sandbox(gpu=True)
    assert runner._isolates(True, gpu=True) is False
    assert runner._isolates(True, gpu=False) is True


def test_programs_for_the_gpu_run_one_at_a_time(monkeypatch):
    seen, running = [], []

    def run(program, *, isolate):
        running.append(program)
        seen.append(len(running))
        running.pop()
        return Result("finished", None, "")

    monkeypatch.setattr(runner, "_run", run)
    monkeypatch.setattr(runner, "_isolates", lambda allow, gpu: True)
    pools = []
    real = runner.ThreadPoolExecutor
    monkeypatch.setattr(
        runner, "ThreadPoolExecutor", lambda n, **rest: pools.append(n) or real(n, **rest)
    )
    runner.run_programs([Program(("",), gpu=True)] * 3)
    assert pools == [1] and seen == [1, 1, 1]
