"""Writes the tables that benchmarks left behind into docs/performance.md; see `make bench`.

python experiments/fill_performance_page.py --results=results/bench --page=docs/performance.md
"""

import pathlib

from absl import app, flags

from moco_jax.analysis.bench_page import fill, read

_RESULTS = flags.DEFINE_string("results", "results/bench", "Folder of the JSON files.")
_PAGE = flags.DEFINE_string("page", "docs/performance.md", "The page, with marks for every table.")


def main(_: list[str]) -> None:
    files = sorted(pathlib.Path(_RESULTS.value).glob("*.json"))
    sections = [section for file in files for section in read(file)]
    page = pathlib.Path(_PAGE.value)
    page.write_text(fill(page.read_text(), sections))
    print(f"{page}: {', '.join(section.name for section in sections) or 'nothing to fill in'}")


if __name__ == "__main__":
    app.run(main)
