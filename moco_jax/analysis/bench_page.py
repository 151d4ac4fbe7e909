"""Tables of benchmarks: printed, kept as JSON, and written into a page between marks.

A page holds a pair of marks for each table, and whatever stands between them is replaced:

    <!-- bench:single -->
    <!-- end bench -->

What the figures depend on stands between the marks of `machine`; where a page has none, since its
tables come from several machines, it stands below every table.
"""

import dataclasses
import json
import pathlib
import re
from collections.abc import Mapping, Sequence

from moco_jax.analysis.tables import TextTable, to_markdown, to_text

END = "<!-- end bench -->"
_BLOCK = re.compile(rf"(<!-- bench:([\w-]+) -->\n).*?({re.escape(END)})", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Section:
    """One table of a benchmark.

    Attributes:
        name: of its marks in the page.
        table: what was measured.
        facts: what the figures depend on (`testing.timing.machine`).
    """

    name: str
    table: TextTable
    facts: Mapping[str, str]


def table_of(rows: Sequence[Mapping[str, object]]) -> TextTable:
    """A table whose columns are the keys of its rows; floats get three digits.

    Columns of numbers alone are set flush right.

    Args:
        rows: at least one, all with the same keys.
    """
    columns = tuple(rows[0])
    cells = tuple(tuple(_cell(row[column]) for column in columns) for row in rows)
    numeric = [
        place
        for place, column in enumerate(columns)
        if all(isinstance(row[column], int | float) for row in rows)
    ]
    return TextTable(columns, cells, frozenset(numeric))


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)


def publish(sections: Sequence[Section], place: str | None) -> str:
    """The tables as text, and with a place also a JSON file there for `fill`."""
    if place:
        path = pathlib.Path(place)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps([_record(section) for section in sections], indent=2) + "\n")
    return "\n\n".join(f"{section.name}\n{to_text(section.table)}" for section in sections)


def _record(section: Section) -> dict[str, object]:
    table = dataclasses.asdict(section.table)
    table["numeric"] = sorted(section.table.numeric)
    return {"name": section.name, "table": table, "facts": dict(section.facts)}


def read(path: pathlib.Path) -> list[Section]:
    """The sections of a file that `publish` wrote."""
    sections = []
    for record in json.loads(path.read_text()):
        table = record["table"]
        rows = tuple(tuple(row) for row in table["rows"])
        made = TextTable(tuple(table["columns"]), rows, frozenset(table["numeric"]))
        sections.append(Section(record["name"], made, record["facts"]))
    return sections


def fill(page: str, sections: Sequence[Section]) -> str:
    """The page with the tables between their marks; marks of other tables keep what they hold.

    The mark `machine` gets the facts of the first section; without it every table gets its own.

    Raises:
        ValueError: a table has no marks in the page.
    """
    texts = {section.name: to_markdown(section.table) for section in sections}
    marks = {found[1] for found in _BLOCK.findall(page)}
    if homeless := sorted(texts.keys() - marks):
        raise ValueError(
            f"the page has no place for {', '.join(homeless)}; write a line "
            f"'<!-- bench:{homeless[0]} -->' and below it '{END}'"
        )
    if "machine" not in marks:
        texts = {section.name: f"{texts[section.name]}\n\n{_said(section)}" for section in sections}
    elif sections:
        facts = tuple(sections[0].facts.items())
        texts["machine"] = to_markdown(TextTable(("what", "here"), facts))

    def put(found: re.Match[str]) -> str:
        text = texts.get(found[2])
        return found[0] if text is None else f"{found[1]}{text}\n{found[3]}"

    return _BLOCK.sub(put, page)


def _said(section: Section) -> str:
    """What a table's figures depend on, in small print."""
    return f"<sub>{', '.join(f'{name} {value}' for name, value in section.facts.items())}</sub>"
