"""One table, four spellings: aligned text, Markdown, CSV, LaTeX. Cells may hold model text."""

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")
"""Characters that change the direction in which the rest of a line is shown."""


@dataclass(frozen=True)
class TextTable:
    """Cells by row and column.

    Attributes:
        columns: titles.
        rows: as many cells each as there are columns.
        numeric: indices of columns that are set flush right.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(
                    f"row {row} has {len(row)} cells, but the table {len(self.columns)} columns"
                )


def printable(text: str) -> str:
    """Text that is safe in a terminal: control and direction characters are spelled out."""
    return "".join(character if _harmless(character) else _spelled(character) for character in text)


def _harmless(character: str) -> bool:
    if character in "\n\t":
        return True
    return unicodedata.category(character) not in ("Cc", "Cs") and character not in BIDI


def _spelled(character: str) -> str:
    return f"\\x{ord(character):02x}" if ord(character) < 256 else f"\\u{ord(character):04x}"


def to_text(table: TextTable) -> str:
    """Aligned columns for a terminal."""
    cells = [[_line(printable(cell)) for cell in row] for row in (table.columns, *table.rows)]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    rule = ["─" * width for width in widths]
    lines = [cells[0], rule, *cells[1:]]
    return "\n".join("  ".join(_padded(table, line, widths)).rstrip() for line in lines)


def _padded(table: TextTable, cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    pairs = enumerate(zip(cells, widths, strict=True))
    return [
        " " * (width - _width(cell)) + cell
        if index in table.numeric
        else cell + " " * (width - _width(cell))
        for index, (cell, width) in pairs
    ]


def _width(text: str) -> int:
    """Columns that a text takes in a terminal."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    none = sum(unicodedata.combining(character) > 0 for character in text)
    return len(text) + wide - none


def to_markdown(table: TextTable) -> str:
    """A pipe table; nothing in a cell is taken for Markdown or HTML."""
    marks = ["---:" if index in table.numeric else "---" for index in range(len(table.columns))]
    head, *body = [[markdown(cell) for cell in row] for row in (table.columns, *table.rows)]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, marks, *body))


def markdown(text: str) -> str:
    """Text as it is in a cell of a Markdown table."""
    safe = _line(printable(text)).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\|`*_\[\]~$#!])", r"\\\1", safe)


def to_csv(table: TextTable) -> str:
    """Comma-separated values, RFC 4180; no cell is taken for a formula by a spreadsheet."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([_unformula(cell) for cell in row] for row in (table.columns, *table.rows))
    return out.getvalue().rstrip("\n")


def _unformula(cell: str) -> str:
    cell = printable(cell)
    if cell[:1] in ("=", "@", "\t", "\n") or (cell[:1] in ("+", "-") and not _is_number(cell)):
        return "'" + cell
    return cell


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


LATEX: dict[str, str] = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "≈": r"$\approx$",
    "Δ": r"$\Delta$",
    "×": r"$\times$",
    "●": r"$\bullet$",
    "–": "--",
}


def to_latex(table: TextTable) -> str:
    """A `tabular` with the rules of the booktabs package."""
    places = "".join("r" if index in table.numeric else "l" for index in range(len(table.columns)))
    head, *body = [
        " & ".join(latex(cell) for cell in row) + r" \\" for row in (table.columns, *table.rows)
    ]
    lines = [rf"\begin{{tabular}}{{{places}}}", r"\toprule", head, r"\midrule", *body]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])


def latex(text: str) -> str:
    """Text as it is in a LaTeX document."""
    return "".join(LATEX.get(character, character) for character in _line(printable(text)))


def _line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


FORMATS: dict[str, Callable[[TextTable], str]] = {
    "text": to_text,
    "markdown": to_markdown,
    "csv": to_csv,
    "latex": to_latex,
}
