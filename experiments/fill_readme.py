"""Runs the README's own examples and puts what they print into it.

python experiments/fill_readme.py
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

from absl import app

ROOT = pathlib.Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
OWN = "mine.py:product_of_experts,mine.py:midpoint"
EXPERTS = "tiny:math,tiny:words,tiny:facts"


def printed(command: list[str], folder: pathlib.Path = ROOT, notes: bool = False) -> str:
    """What a command prints; where it fails, so does this script.

    Args:
        command: the command line.
        folder: where it runs.
        notes: whether what stands beside a table, on the standard error, belongs to it.
    """
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if notes else None,
        text=True,
        check=True,
    )
    return done.stdout.strip("\n")


def moco(*arguments: str) -> list[str]:
    """The command line of `moco`."""
    entry = "from moco_jax.cli.main import entry; entry()"
    return [sys.executable, "-c", entry, *arguments]


def demo() -> str:
    """What `make demo` prints, without the messages of its log."""
    command = ["make", "--silent", f"VENV={pathlib.Path(sys.prefix)}", "demo"]
    lines = printed(command, notes=True).splitlines()
    return "\n".join(line for line in lines if not line.startswith(("Installing ", "moco: ")))


def from_python(code: str) -> str:
    """What the example in Python prints."""
    with tempfile.TemporaryDirectory() as folder:
        return printed([sys.executable, "-c", code], pathlib.Path(folder))


def of_your_own(code: str) -> str:
    """The table of the example's two methods, as far as it fits a page."""
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        (place / "mine.py").write_text(code)
        asked = ["compare", f"--methods={OWN}", "--tasks=tiny_mix", f"--models={EXPERTS}"]
        lines = printed(moco(*asked), place).splitlines()
    width = lines[0].index("unparsed")
    shown = [line[:width].rstrip() for line in lines[:4]]
    command = f"$ moco compare --methods={OWN} --tasks=tiny_mix \\\n    --models={EXPERTS}"
    return "\n".join([command, *shown])


def fill(page: str, name: str, text: str) -> str:
    """Replaces the block behind the mark of a name.

    Raises:
        ValueError: the page has no such block.
    """
    pattern = re.compile(rf"(<!-- output:{name} -->\n```\n).*?(\n```)", re.DOTALL)
    if not pattern.search(page):
        raise ValueError(f"{README.name} has no block behind <!-- output:{name} -->")
    return pattern.sub(lambda found: found[1] + text + found[2], page)


def main(_: list[str]) -> None:
    page = README.read_text()
    first, second = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    made = {"demo": demo(), "python": from_python(first), "own": of_your_own(second)}
    for name, text in made.items():
        page = fill(page, name, text)
    README.write_text(page)


if __name__ == "__main__":
    app.run(main)
