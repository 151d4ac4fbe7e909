"""`moco report`: finished runs as a table, and as one HTML file."""

import pathlib
from collections.abc import Sequence

from absl import flags

from moco_jax.cli import outputs
from moco_jax.cli.commands import Command, Parsed
from moco_jax.cli.compare import define_format, define_html, write_html


def _define(values: flags.FlagValues) -> None:
    define_html(values)
    flags.DEFINE_string("title", None, "of the report (default: the folder)", flag_values=values)
    define_format(values)


def _run(parsed: Parsed, words: Sequence[str]) -> int:
    if len(words) != 1:
        raise ValueError("report takes one run directory, or a folder of them")
    from moco_jax.analysis import summary
    from moco_jax.analysis.benches import sort_out
    from moco_jax.analysis.load import load_runs
    from moco_jax.analysis.tables import printable

    outputs.check_file("html", parsed["html"])
    folder = pathlib.Path(words[0])
    benches = sort_out(load_runs(folder))
    if parsed["format"] == "text":
        for bench in benches:
            shown = summary.render([bench], "text")
            print(printable(summary.headline(bench)), shown, sep="\n")
            print(printable(summary.footnote(bench)), end="\n\n")
        print(summary.legend(benches))
    else:
        print(summary.render(benches, parsed["format"]))
    if parsed["html"]:
        said = write_html(benches, parsed["html"], parsed["title"] or folder.resolve().name)
        if parsed["format"] == "text":
            print(said)
    return 0


COMMAND = Command(
    name="report",
    summary="Shows finished runs side by side: a table, and with --html a page to browse.",
    usage="RUN_OR_FOLDER [--html=FILE] [--format=FORMAT]",
    examples=("moco report runs --html=report.html",),
    define=_define,
    run=_run,
)
