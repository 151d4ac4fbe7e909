"""`moco ask`: a fitted system answers questions."""

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from absl import flags

from moco_jax.cli import environment
from moco_jax.cli.commands import Command, Parsed

if TYPE_CHECKING:
    from moco_jax.decoding.types import Response


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_boolean(
        "transcript", False, "also show the turns that led to each answer", flag_values=values
    )
    flags.DEFINE_boolean(
        "run_method_file",
        False,
        "run the method file, or module, of its own that the run names; it may do whatever you can",
        flag_values=values,
    )
    environment.define(values)


def _run(parsed: Parsed, words: Sequence[str]) -> int:
    if not words:
        raise ValueError("ask needs a run directory, and then questions")
    environment.configure_jax(parsed[environment.COMPILATION_CACHE])
    from moco_jax.runs.loaded import load_system

    run_dir, *questions = words
    with load_system(run_dir, run_method_file=parsed["run_method_file"]) as system:
        if not questions:
            for question in _typed():
                _show(system.ask(question)[0], parsed["transcript"])
            return 0
        for question, response in zip(questions, system.ask(questions), strict=True):
            if len(questions) > 1:
                print(f"> {question}")
            _show(response, parsed["transcript"])
    return 0


def _typed() -> Iterator[str]:
    """Questions from standard input, one per line."""
    talking = sys.stdin.isatty()
    while True:
        if talking:
            print("> ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            return
        if line.strip():
            yield line.strip()


def _show(response: "Response", transcript: bool) -> None:
    from moco_jax.analysis.tables import printable

    if transcript:
        for turn in response.transcript:
            body = turn.text.replace("\n", "\n    ")
            print(printable(f"  {turn.speaker} ({turn.role})\n    {body}"))
    print(printable(response.text), flush=True)
    if response.finish == "length":
        print("moco: the answer was cut at the length limit of the run", file=sys.stderr)
    if response.finish == "over_length":
        print("moco: the question is too long for the context of a member", file=sys.stderr)


COMMAND = Command(
    name="ask",
    summary="Asks the system that a finished run fitted; without questions it reads lines.",
    usage='RUN ["QUESTION" ...] [--transcript]',
    examples=('moco ask runs/text_majority_vote-tiny_mix-0123456789 "what is 3 + 4?"',),
    define=_define,
    run=_run,
)
