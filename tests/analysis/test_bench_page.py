"""Tables of benchmarks go to text, to JSON and into a page."""

import pytest

from moco_jax.analysis.bench_page import END, Section, fill, publish, read, table_of

PAGE = """# Speed

<!-- bench:machine -->
<!-- end bench -->

Words stay.

<!-- bench:single -->
old
table
<!-- end bench -->

<!-- bench:other -->
kept
<!-- end bench -->
"""

SECTION = Section(
    "single",
    table_of([{"batch": 1, "faster": 1.2345, "what": "a"}, {"batch": 8, "faster": 2, "what": "b"}]),
    {"cores": "2"},
)


def test_tables_replace_what_stood_between_their_marks():
    page = fill(PAGE, [SECTION])
    assert "old" not in page
    head = "| batch | faster | what |\n| ---: | ---: | --- |\n"
    assert f"{head}| 1 | 1.23 | a |\n| 8 | 2 | b |\n{END}" in page
    assert "| cores | 2 |" in page
    assert "Words stay." in page
    assert "kept" in page


def test_without_one_place_for_the_machine_every_table_says_its_own():
    page = PAGE.replace("bench:machine", "bench:another")
    filled = fill(page, [SECTION])
    assert f"| 8 | 2 | b |\n\n<sub>cores 2</sub>\n{END}" in filled
    assert filled.count("<sub>") == 1
    assert fill(filled, [SECTION]) == filled


def test_filling_twice_changes_nothing_more():
    once = fill(PAGE, [SECTION])
    assert fill(once, [SECTION]) == once


def test_a_table_without_marks_is_an_error_that_shows_them():
    with pytest.raises(ValueError, match="no place for lost; write a line '<!-- bench:lost -->'"):
        fill(PAGE, [Section("lost", SECTION.table, {})])


def test_a_published_file_reads_back_and_the_text_shows_the_table(tmp_path):
    place = tmp_path / "results" / "single.json"
    text = publish([SECTION], str(place))
    assert "1.23" in text
    assert read(place) == [SECTION]


def test_large_figures_have_no_digits_behind_the_point():
    table = table_of([{"a": 1234.5, "b": 0.00012345}])
    assert table.rows == (("1234", "0.000123"),)
