"""Writes the tables of finished comparisons into docs/comparison.md; see `make comparison`.

    python experiments/fill_comparison_page.py --results=results/comparison

Every folder in the results is one pool. Its tables stand between marks named after the folder and
the task: all methods, the slowest, and the most expensive per correct answer.
"""

import pathlib

from absl import app, flags

from moco_jax.analysis import costs, summary
from moco_jax.analysis.bench_page import Section, fill, table_of
from moco_jax.analysis.benches import Bench, sort_out
from moco_jax.analysis.load import load_runs
from moco_jax.analysis.tables import TextTable
from moco_jax.testing.timing import machine

_RESULTS = flags.DEFINE_string("results", "results/comparison", "A folder of runs for each pool.")
_PAGE = flags.DEFINE_string("page", "docs/comparison.md", "The page, with marks for every table.")


def methods(bench: Bench) -> TextTable:
    """All methods, without the column that says the same in every row."""
    table = summary.shown_table([bench])
    rows = tuple(row[1:] for row in table.rows)
    return TextTable(table.columns[1:], rows, frozenset(place - 1 for place in table.numeric))


def slowest(bench: Bench) -> TextTable:
    bills = costs.slowest([costs.bill(contender) for contender in bench.contenders])
    return table_of(
        [
            {
                "method": bill.name,
                "fitting, s": bill.fit_seconds,
                "answering, s": bill.seconds,
                "answering, ms per item": 1e3 * bill.seconds_per_item,
            }
            for bill in bills
        ]
    )


def dearest(bench: Bench) -> TextTable:
    bills = costs.dearest([costs.bill(contender) for contender in bench.contenders])
    return table_of(
        [
            {
                "method": bill.name,
                "MFLOPs per correct answer": bill.flops_per_correct / 1e6,
                "seconds per correct answer": bill.seconds_per_correct,
            }
            for bill in bills
        ]
    )


TABLES = {"methods": methods, "slowest": slowest, "dearest": dearest}


def sections(folder: pathlib.Path) -> list[Section]:
    """The tables of one pool."""
    facts, found = machine(), []
    for bench in sort_out(load_runs(folder)):
        place = f"{folder.name}-{bench.first.result.task}"
        found += [Section(f"{place}-{name}", make(bench), facts) for name, make in TABLES.items()]
    return found


def main(_: list[str]) -> None:
    folders = sorted(path for path in pathlib.Path(_RESULTS.value).iterdir() if path.is_dir())
    page = pathlib.Path(_PAGE.value)
    text = page.read_text()
    made = [section for folder in folders for section in sections(folder)]
    wanted = [section for section in made if f"<!-- bench:{section.name} -->" in text]
    page.write_text(fill(text, wanted))
    print(f"{page}: {', '.join(section.name for section in wanted) or 'nothing to fill in'}")


if __name__ == "__main__":
    app.run(main)
