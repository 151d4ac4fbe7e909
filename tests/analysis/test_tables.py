import csv
import io

import pytest

from moco_jax.analysis.tables import FORMATS, TextTable, latex, markdown, printable, to_csv, to_text

TABLE = TextTable(("name", "score"), (("a_b", "0.5"), ("long name", "10.25")), frozenset({1}))
NASTY = "a|b\n<script>alert(1)</script> $x_1$ \\cmd{} \x1b[31mred\u202e"


def test_text_is_aligned() -> None:
    head, rule, first, second = to_text(TABLE).splitlines()
    assert head == "name       score"
    assert rule == "─────────  ─────"
    assert first == "a_b          0.5"
    assert second == "long name  10.25"


def test_wide_characters_keep_columns_aligned() -> None:
    table = TextTable(("a", "b"), (("日本", "x"), ("abcd", "y")))
    assert to_text(table).splitlines()[2:] == ["日本  x", "abcd  y"]


def test_rows_must_fit_the_columns() -> None:
    with pytest.raises(ValueError, match="1 cells, but the table 2 columns"):
        TextTable(("a", "b"), (("only",),))


@pytest.mark.parametrize("form", FORMATS)
def test_no_control_characters_reach_the_reader(form: str) -> None:
    shown = FORMATS[form](TextTable(("x",), ((NASTY,),)))
    assert "\x1b" not in shown
    assert "\u202e" not in shown


@pytest.mark.parametrize("form", ["text", "markdown", "latex"])
def test_a_row_is_one_line(form: str) -> None:
    once = FORMATS[form](TextTable(("x",), (("plain",),)))
    assert len(FORMATS[form](TextTable(("x",), ((NASTY,),))).splitlines()) == len(once.splitlines())


def test_markdown_takes_nothing_for_markup() -> None:
    assert markdown("a|b") == r"a\|b"
    assert markdown("<b>*x*") == r"&lt;b&gt;\*x\*"


def test_latex_takes_nothing_for_commands() -> None:
    assert latex(r"\a_{1} 50% & #") == r"\textbackslash{}a\_\{1\} 50\% \& \#"


@pytest.mark.parametrize("cell", ["=1+1", "@x", "+cmd|x", "-2+3"])
def test_csv_cells_are_no_formulas(cell: str) -> None:
    assert to_csv(TextTable(("x",), ((cell,),))).splitlines()[1] == "'" + cell


def test_csv_keeps_numbers_and_quotes_texts() -> None:
    shown = to_csv(TextTable(("x", "y"), (("-0.5", 'a,"b"'),)))
    assert list(csv.reader(io.StringIO(shown))) == [["x", "y"], ["-0.5", 'a,"b"']]


def test_printable_keeps_ordinary_text() -> None:
    assert printable("Grüße, 日本\n\t√2 👍") == "Grüße, 日本\n\t√2 👍"
