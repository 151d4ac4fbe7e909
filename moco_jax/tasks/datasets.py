"""What is known of every dataset that MoCo distributes, without any of its data.

The table stands in datasets.tsv. Sizes and peculiarities were counted in the files; licences are as
far as known, and "see source" where none could be confirmed. The project ships none of the data.
"""

import csv
import functools
import pathlib
from dataclasses import dataclass

TABLE = pathlib.Path(__file__).with_name("datasets.tsv")

ARCHIVE = "modelco 1.1.2"
SOURCES = {
    "assaybench": "hub:bunsenfeng/assaybench",
    "human_interest_tiny": "modelco before 1.1.2",
}
"""Where those come from that are not in the archive."""

HOW_TO_GET = (
    "modelco is MoCo's package: fetch it with `pip download --no-deps modelco==1.1.2`, unpack it "
    "(tar xzf modelco-1.1.2.tar.gz), and pass "
    "--data_dir=modelco-1.1.2/model_collaboration/data (data_dir= in Python)."
)


@dataclass(frozen=True)
class Dataset:
    """One dataset.

    Attributes:
        name: of the task, and of its file without the ending.
        kind: how it is scored.
        dev: rows of the dev split.
        test: rows of the test split.
        what: the dataset, and which part of it.
        paper: arXiv id, "" where none is recorded.
        licence: of the data, as far as known.
        notes: peculiarities, and what is done about them.
    """

    name: str
    kind: str
    dev: int
    test: int
    what: str
    paper: str
    licence: str
    notes: str

    @property
    def source(self) -> str:
        """Where to get it, in a few words; see `HOW_TO_GET`."""
        return SOURCES.get(self.name, ARCHIVE)


@functools.cache
def datasets() -> dict[str, Dataset]:
    """Every known dataset, by name."""
    with TABLE.open(newline="", encoding="utf-8") as lines:
        rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        found = [_dataset(row) for row in rows]
    return {dataset.name: dataset for dataset in found}


def _dataset(row: dict[str, str]) -> Dataset:
    sizes = {split: int(row.pop(split)) for split in ("dev", "test")}
    return Dataset(dev=sizes["dev"], test=sizes["test"], **row)
