"""Programs that try to get out of the sandbox: what they see, write and reach."""

import os
import pathlib
import socket

import pytest

from moco_jax.tasks.sandbox import Limits, Program, SandboxError, require_sandbox, run_programs

REPOSITORY = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def namespaces():
    try:
        require_sandbox()
    except SandboxError as error:
        pytest.skip(str(error))


def value(source, expression, **limits):
    result = run_programs([Program((source,), expression, Limits(**limits))])[0]
    assert result.status == "finished", result.output
    return result.value


TRY = """
def error(call, *args):
    try:
        call(*args)
    except Exception as failure:
        return type(failure).__name__
    return None
"""


@pytest.mark.parametrize(
    "path",
    [
        "/etc/shadow",
        "/etc/passwd",
        "/etc/hosts",
        "/proc/1/environ",
        "/proc/self/root/etc/shadow",
        "/sys/kernel",
        "/dev/shm",
        "/dev/mem",
        "/bin/sh",
        "/usr/bin/env",
        "/old/etc/shadow",
        "../../etc/shadow",
        str(REPOSITORY / "setup.py"),
        str(REPOSITORY / "moco_jax" / "__init__.py"),
        __file__,
    ],
)
def test_nothing_outside_is_there(path):
    assert value("", f"os.path.exists({path!r})") is False


def test_home_and_temporary_files_of_the_user_are_out_of_sight(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("x")
    places = (str(secret), "~")
    seen = f"[os.path.exists(os.path.expanduser(place)) for place in {places}]"
    assert value("", seen) == [False, False]
    homes = f"[n for p in {[str(pathlib.Path.home()), '/home', '/root']} if os.path.isdir(p)"
    homes += " for n in os.listdir(p) if n not in ('.pyenv', '.venv', 'miniconda3', 'anaconda3')]"
    assert not {".ssh", ".bashrc", ".cache"} & set(value("", homes))


def test_links_lead_nowhere():
    source = TRY + "os.symlink('/etc/shadow', 'link')\nos.symlink('/', 'root')"
    assert value(source, "[error(open, 'link'), sorted(os.listdir('root')) == os.listdir('/')]")
    assert value(source, "[error(open, 'link'), error(open, 'root/etc/passwd')]") == [
        "FileNotFoundError",
        "FileNotFoundError",
    ]


def test_only_the_working_folder_can_be_written():
    source = (
        TRY
        + """
import json, tempfile
def write(path):
    with open(path, "w") as file:
        file.write("x")
    os.remove(path)
places = ["/x", "/box/x", os.path.dirname(json.__file__) + "/x", "/usr/lib/x", "/dev/x"]
found = [error(write, place) for place in places]
found += [error(os.truncate, json.__file__, 0), error(os.chmod, json.__file__, 0o777)]
found.append(error(os.link, json.__file__, "/box/json"))
"""
    )
    found = value(source, "found")
    assert found[1] is None and None not in found[:1] + found[2:]
    assert value("import tempfile", "tempfile.gettempdir()") == "/box"


def test_each_program_starts_with_an_empty_folder():
    programs = [Program((f"open('f{n}', 'w').close()",), "os.listdir()") for n in range(4)]
    assert [run.value for run in run_programs(programs, workers=2)] == [[f"f{n}"] for n in range(4)]


def test_no_secret_is_inherited(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "secret")
    assert "secret" not in value("", "repr([dict(os.environ), sys.argv, sys.orig_argv])")


KEYRING = """
import ctypes
call = {"x86_64": 250, "aarch64": 219}.get(os.uname().machine)
found = ctypes.CDLL(None).syscall(call, 0, -3, 0) if call else -1
"""


def test_keys_stored_in_the_kernel_are_not_inherited():
    ours = {"os": os}
    exec(KEYRING, ours)
    inside = value(KEYRING, "found")
    assert inside == -1 or inside != ours["found"]


def test_open_descriptors_are_the_standard_ones_and_the_tokens():
    opened = value(TRY, "[d for d in range(64) if error(os.fstat, d) is None]")
    assert opened[:3] == [0, 1, 2] and len(opened) == 4


def test_no_network_not_even_loopback():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        source = TRY + "import socket"
        reached = f"[error(socket.create_connection, (h, {port}), 1) for h in"
        assert value(source, reached + " ('127.0.0.1', 'localhost', '::1', '1.1.1.1')]") == [
            "OSError",
            "gaierror",
            "OSError",
            "OSError",
        ]
        assert value(source, "socket.if_nameindex()") in ([], [[1, "lo"]])


def test_abstract_sockets_of_the_machine_are_out_of_reach():
    name = f"\0moco-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(name)
        server.listen()
        source = TRY + "import socket\ns = socket.socket(socket.AF_UNIX)"
        assert value(source, f"error(s.connect, {name!r})") == "ConnectionRefusedError"


def test_no_process_outside_can_be_seen_or_killed():
    source = (
        TRY
        + """
import signal
others = [n for n in range(3, 5000) if error(os.kill, n, 0) is None]
parent = os.getppid()
for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP, signal.SIGINT):
    error(os.kill, parent, number)
    error(os.kill, -1, number)
"""
    )
    assert value(source, "[others, parent, os.getppid(), os.getpid()]") == [[], 1, 1, 2]


def test_no_program_can_be_executed_but_python_code():
    source = TRY + "import subprocess"
    tried = "[error(subprocess.run, c) for c in (['sh'], ['/bin/ls'], [sys.executable, '-c', '1'])]"
    assert value(source, tried) == ["FileNotFoundError"] * 3
    assert value("", "os.system('echo 1') != 0") is True


def test_ctypes_gives_no_privileges():
    source = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
calls = {
    "mount": lambda: libc.mount(b"tmpfs", b"/box", b"tmpfs", 0, None),
    "remount": lambda: libc.mount(None, b"/", None, 0x20, None),
    "umount": lambda: libc.umount2(b"/box", 2),
    "unshare": lambda: libc.unshare(0x10000000),
    "chroot": lambda: libc.chroot(b"/box"),
    "setuid": lambda: libc.setuid(0) if os.getuid() else -1,
    "sethostname": lambda: libc.sethostname(b"x", 1),
    "ptrace": lambda: libc.ptrace(16, 1, 0, 0),
    "mknod": lambda: libc.mknod(b"/box/sda", 0o60666, 0x0800),
    "reboot": lambda: libc.reboot(0),
}
allowed = [name for name, call in calls.items() if call() != -1]
"""
    assert value(source, "allowed") == []


def test_limits_cannot_be_raised():
    source = TRY + "import resource\nkinds = [getattr(resource, 'RLIMIT_' + k) for k in"
    source += " ('CPU', 'AS', 'NPROC', 'FSIZE', 'NOFILE')]\n"
    raised = "[error(resource.setrlimit, k, (resource.RLIM_INFINITY,) * 2) for k in kinds]"
    assert value(source, raised) == ["ValueError"] * 5


def test_processes_threads_memory_and_files_are_limited():
    forks = (
        TRY
        + """
import time
forked = 0
while forked < 100:
    try:
        child = os.fork()
    except OSError:
        break
    if child == 0:
        time.sleep(60)
    forked += 1
"""
    )
    assert value(forks, "forked", processes=5) <= 5
    threads = "import threading, time\ndef start():\n    t = threading.Thread(target=time.sleep,"
    threads += " args=(60,), daemon=True)\n    t.start()\n"
    assert value(TRY + threads, "[error(start) for _ in range(30)][-1]") == "RuntimeError"
    memory = "[error(bytearray, 1 << 30), error(list, range(10 ** 9)), error(bytearray, 1 << 20)]"
    assert value(TRY, memory) == ["MemoryError", "MemoryError", None]
    files = TRY + "import signal\ndef write(name, size):\n    with open(name, 'wb') as f:\n"
    files += "        f.write(bytes(size))\n"
    big = "[error(write, 'a', 2 << 20)] + [error(write, f'{n}', 1 << 20) for n in range(5)]"
    assert value(files, big, file_bytes=1 << 20)[0] == "OSError"
    assert value(files, big, file_bytes=1 << 20)[-1] == "OSError"
    many = "[error(write, f'{n}', 0) for n in range(2000)][-1]"
    assert value(files, many) == "OSError"
