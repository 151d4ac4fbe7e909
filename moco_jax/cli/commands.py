"""What a subcommand is, how its flags are parsed, and how its help reads."""

import dataclasses
import re
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

from absl import flags

from moco_jax.cli.settings import DEBUG, VERBOSE

WIDTH = 88
INDENT = 26


class Parsed:
    """The flags of one call; those that were not given are None."""

    def __init__(self, values: flags.FlagValues):
        self._values = values

    def __getitem__(self, name: str) -> Any:
        return self._values[name].value

    def given(self, names: Sequence[str]) -> dict[str, Any]:
        """Those of `names` that stand on the command line, by name."""
        return {name: self[name] for name in names if self._values[name].present}


def refuse_words(command: str, words: Sequence[str], hint: str) -> None:
    """Raises ValueError where a command of flags only got other words, such as half of a list."""
    if words:
        raise ValueError(
            f"{command} takes flags only, not {words[0]!r}; {hint}, and lists are separated by "
            "commas without spaces: --models=a,b"
        )


@dataclasses.dataclass(frozen=True)
class Command:
    """One subcommand.

    Attributes:
        name: the word after `moco`.
        summary: one line for `moco --help`.
        usage: what stands after `moco <name>`.
        examples: whole command lines.
        define: adds the command's flags.
        run: does it, with the words that are no flags; gives the exit code.
        defaults: default values to show in the help, by flag; called only for the help.
    """

    name: str
    summary: str
    usage: str
    examples: tuple[str, ...]
    define: Callable[[flags.FlagValues], None]
    run: Callable[[Parsed, Sequence[str]], int]
    defaults: Callable[[], dict[str, Any]] = dict

    def flags(self) -> flags.FlagValues:
        """Fresh, unparsed flags."""
        values = flags.FlagValues()
        values.set_gnu_getopt(True)
        self.define(values)
        flags.DEFINE_boolean(VERBOSE, False, "say what is going on", flag_values=values)
        flags.DEFINE_boolean(
            DEBUG, False, "show where in the code errors arise", flag_values=values
        )
        return values

    def parse(self, arguments: Sequence[str]) -> tuple[Parsed, list[str]]:
        """Flags and other words of a command line.

        Raises:
            flags.Error: a flag is unknown (the nearest is offered) or has a value it cannot have.
        """
        values = self.flags()
        try:
            words = values([f"moco {self.name}", *arguments])[1:]
        except flags.UnrecognizedFlagError as error:
            hint = f"see moco {self.name} --help"
            raise flags.Error(f"{str(error).rstrip('.')}; {hint}") from error
        return Parsed(values), words

    def help(self) -> str:
        """What `moco <name> --help` prints."""
        values, defaults = self.flags(), self.defaults()
        lines = [f"moco {self.name} {self.usage}".rstrip(), "", f"  {self.summary}", ""]
        if self.examples:
            lines += ["Examples:", *(f"  {example}" for example in self.examples), ""]
        own = [flag for flag in _in_order(values) if flag.name not in (VERBOSE, DEBUG)]
        lines += [_described(flag, defaults) for flag in own]
        lines += [_described(values[name], {}) for name in (VERBOSE, DEBUG)]
        return "\n".join(lines)


def _in_order(values: flags.FlagValues) -> list[flags.Flag]:
    """Flags in the order of their definition, without second names."""
    own = [values[name] for name in values if values[name].name == name]
    return [flag for flag in own if not flag.help.startswith("Alias for")]


def _described(flag: flags.Flag, defaults: dict[str, Any]) -> str:
    short = f", -{flag.short_name}" if flag.short_name else ""
    value = "" if flag.boolean else "=" + _METAVARS.get(flag.name, flag.name.upper())
    left = f"  --{flag.name}{value}{short}"
    # absl adds to the help of a repeated flag how to repeat it, and to an enum's what it may be.
    text = re.sub(r"^<.*?>: ", "", flag.help.partition(";\n")[0])
    if defaults.get(flag.name) is not None:
        text += f" (default {defaults[flag.name]})"
    body = textwrap.wrap(text, WIDTH - INDENT)
    if len(left) >= INDENT - 1:
        return "\n".join([left, *(" " * INDENT + line for line in body)])
    return "\n".join([left.ljust(INDENT) + body[0], *(" " * INDENT + line for line in body[1:])])


_METAVARS = {
    "config": "FILE",
    "models": "A,B,C",
    "methods": "A,B|all",
    "tasks": "A,B",
    "seeds": "1,2,3",
    "seed": "N",
    "set": "NAME=VALUE",
    "out": "DIR",
    "reward_model": "NAME",
    "verifier": "NAME",
    "embedding_model": "NAME",
    "data_dir": "DIR",
    "reference_log": "DIR",
    "max_new_tokens": "N",
    "batch_size": "N|auto",
    "expected_tokens": "N",
    "temperature": "X",
    "top_p": "X",
    "ratio": "X",
    "prompt_template": "TEXT",
    "html": "FILE",
    "format": "text|markdown|csv|latex",
    "compilation_cache": "DIR|none",
}
