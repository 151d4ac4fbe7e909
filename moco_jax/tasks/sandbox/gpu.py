"""What a program that measures GPU code sees beyond others: the devices, the driver, compilers."""

import os
import pathlib
import re
import shutil
import sys
import sysconfig
from dataclasses import dataclass

# Not nvidia-modeset, nvidia-nvswitch* and others: computing needs none of them.
NODE = re.compile(r"nvidia(?:\d+|ctl|-uvm|-uvm-tools)|nvidia-caps/nvidia-cap\d+")
TOOLS = ("/bin", "/usr/bin", "/usr/include", "/usr/libexec", "/etc/alternatives")
TOOLKIT = "/usr/local/cuda"
# Of drivers that are not among the system's libraries.
DRIVERS = ("/usr/local/nvidia/lib64", "/usr/local/nvidia/lib", "/run/opengl-driver/lib")
# Of the kernel, where a container hides so much of /proc that no new one may be shown.
PROC = ("/proc/driver/nvidia", "/proc/cpuinfo", "/proc/devices", "/proc/meminfo", "/proc/modules")


PROBE = """\
import ctypes
code = ctypes.CDLL("libcuda.so.1").cuInit(0)
if code:
    raise OSError(f"cuInit returned {code}")
"""


@dataclass(frozen=True)
class Gpu:
    """What is shown.

    Attributes:
        devices: (path outside, path inside) of device nodes; these can be written to.
        places: files and folders that are shown read-only, under the path they have outside.
        proc: those of them that are in /proc.
        environment: variables that the compilers and the driver's loader need.
    """

    devices: tuple[tuple[str, str], ...]
    places: tuple[str, ...]
    proc: tuple[str, ...]
    environment: dict[str, str]


def find_gpu(root: str = "/") -> Gpu:
    """Looks for NVIDIA devices, the driver's libraries and the CUDA toolkit.

    Args:
        root: the folder that stands for the file system's root.
    """
    base = pathlib.Path(root)

    def present(paths: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(path for path in paths if (base / path.lstrip("/")).exists())

    nodes = [*base.glob("dev/nvidia*"), *base.glob("dev/nvidia-caps/*")]
    names = sorted(node.relative_to(base / "dev").as_posix() for node in nodes)
    devices = [(f"{base / 'dev' / name}", f"/dev/{name}") for name in names if NODE.fullmatch(name)]
    toolkit, drivers = _toolkit(), present(DRIVERS)
    # PyTorch builds extensions by ninja, which may be installed as a Python package.
    ninja = os.path.join(os.path.dirname(sys.executable), "ninja")
    programs = [os.path.join(toolkit, "bin"), os.path.dirname(ninja), "/usr/bin", "/bin"]
    environment = {"CUDA_HOME": toolkit, "PATH": os.pathsep.join(programs)}
    if drivers:
        environment["LD_LIBRARY_PATH"] = os.pathsep.join(drivers)
    places = present((*TOOLS, sysconfig.get_path("include"), toolkit, *drivers, ninja))
    return Gpu(tuple(devices), places, present(PROC), environment)


def _toolkit() -> str:
    """The usual CUDA toolkit, else the one whose compiler is found first."""
    compiler = shutil.which("nvcc")
    if os.path.isdir(TOOLKIT) or compiler is None:
        return TOOLKIT
    return os.path.dirname(os.path.dirname(os.path.realpath(compiler)))
