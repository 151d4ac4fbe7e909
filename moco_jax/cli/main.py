"""The `moco` command: finds the subcommand, runs it, and says in one message what went wrong."""

import difflib
import importlib.metadata
import os
import sys
from collections.abc import Sequence

from absl import flags

from moco_jax.cli import ask, cache, compare, environment, listing, report, run
from moco_jax.cli.commands import Command
from moco_jax.cli.settings import DEBUG, VERBOSE

COMMANDS: dict[str, Command] = {
    module.COMMAND.name: module.COMMAND for module in (run, compare, report, ask, listing, cache)
}
HELP = ("--help", "-h", "-help", "--helpfull", "help")

OK, FAILED, MISUSED, INTERRUPTED = 0, 1, 2, 130

EXPECTED = (ValueError, OSError, RuntimeError, ImportError, flags.Error)
"""What the library raises on purpose, with a message for its user."""


def entry() -> int:
    """The console command."""
    try:
        code = main(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has seen enough, as in `moco list | head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    return code


def main(arguments: Sequence[str]) -> int:
    """Runs a command line, without the program's name, and gives its exit code."""
    words = list(arguments)
    if not words or words[0] in HELP:
        print(overview())
        return OK
    if words[0] == "--version":
        print(f"moco_jax {importlib.metadata.version('moco_jax')}")
        return OK
    if words[0].startswith("-"):
        # The reference's own command line has flags only: moco -c settings.json -l logs
        words.insert(0, run.COMMAND.name)
    name, *rest = words
    if name not in COMMANDS:
        # "export" is no misspelt "report": a first letter is seldom wrong
        alike = [known for known in COMMANDS if known[:1] == name[:1]]
        near = difflib.get_close_matches(name, alike, n=1, cutoff=0.5)
        offer = f"did you mean moco {near[0]}?" if near else f"there are {', '.join(COMMANDS)}"
        return _complain(f"there is no command {name!r}: {offer}")
    if any(word in HELP[:-1] for word in rest):
        print(COMMANDS[name].help())
        return OK
    return _guarded(COMMANDS[name], rest)


def overview() -> str:
    """What `moco --help` prints."""
    lines = ["moco: many language models, one answer", "", "Commands:"]
    lines += [f"  {name:<9} {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            *lines,
            "",
            "Begin with:",
            f"  {run.COMMAND.examples[0]}",
            "",
            "moco COMMAND --help says more about each. The reference's own command line works too:",
            "  moco -c settings.json -l logs",
        ]
    )


def _guarded(command: Command, arguments: Sequence[str]) -> int:
    """Runs a command; errors made for users become one message and an exit code."""
    debug = False
    try:
        parsed, words = command.parse(arguments)
        debug = parsed[DEBUG]
        environment.quieten(parsed[VERBOSE])
        return command.run(parsed, words)
    except KeyboardInterrupt:
        return _complain(
            "\ninterrupted; what is finished is kept: the same command goes on from there",
            INTERRUPTED,
        )
    except BrokenPipeError:
        # An OSError that is nobody's mistake; `entry` deals with it.
        raise
    except (*EXPECTED, AssertionError) as error:
        missing = environment.missing_devices()
        if debug or (isinstance(error, AssertionError) and not missing):
            raise
        return _complain(missing or _message(error))


def _message(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    # These come from below the library and may be anything.
    unexpected = type(error).__module__.startswith(("jax", "numpy"))
    return f"{text}\n(--debug shows where this arose)" if unexpected else text


def _complain(message: str, code: int = MISUSED) -> int:
    from moco_jax.analysis.tables import printable

    start = "\n" if message.startswith("\n") else ""
    print(f"{start}moco: {printable(message.strip())}", file=sys.stderr)
    return code
