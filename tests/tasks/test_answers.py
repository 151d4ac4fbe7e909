"""Our own small golden set: what an output says, and which answers are worth the same."""

import json
import pathlib

import pytest

from moco_jax.tasks import SCORERS, Gold, Item

LINES = (pathlib.Path(__file__).parent / "data" / "answers.jsonl").open(encoding="utf-8")
ROWS = [json.loads(line) for line in LINES]


def item_for(row):
    choices = tuple(row.get("choices", ()))
    return Item(id="dev/0", prompt="q", question="q", choices=choices, kind=row["kind"])


@pytest.mark.parametrize("row", [row for row in ROWS if "output" in row], ids=lambda r: r["output"])
def test_extraction(row):
    assert SCORERS[row["kind"]].extract(item_for(row), row["output"]) == row["parsed"]


@pytest.mark.parametrize("row", [row for row in ROWS if "given" in row], ids=lambda r: r["given"])
def test_equality(row):
    scorer, item = SCORERS[row["kind"]], item_for(row)
    assert scorer.compare(item, Gold((row["gold"],)), row["given"]) == row["value"]


def test_only_a_gold_called_a_float_has_a_tolerance():
    scorer, item = SCORERS["exact_match"], item_for({"kind": "exact_match"})
    for answer_type, value in ((None, 0.0), ("integer", 0.0), ("float", 1.0)):
        assert scorer.compare(item, Gold(("0.8356",), answer_type), "0.84") == value
    assert scorer.compare(item, Gold(("[1.0, 2.0]",), "list of float"), "[1.001, 2]") == 1.0
    assert scorer.compare(item, Gold(("0.8356",), "float"), "0.85") == 0.0
    assert scorer.compare(item, Gold(("0.0",), "float"), "0.001") == 0.0


@pytest.mark.parametrize(
    ("aliases", "given", "value"),
    [
        (("Salt Lake City", "Salt Lake City, Utah"), "Utah", 0.4),
        (("Keran, Queen of Armenia",), "Keran, Queen of Armenia", 1.0),
        (("Washington, D.C.",), "washington dc", 1.0),
        (('"desert" in Maine',), "“desert” in Maine", 1.0),
        (("well-known",), "well known", 1.0),
        (("Spider-Man",), "spiderman", 1.0),
        (("The Beatles",), "beatles", 1.0),
        (("Paris",), "Rome", 0.0),
        (("Paris",), "...", 0.0),
        (("a",), "", 0.0),
    ],
)
def test_word_overlap(aliases, given, value):
    scorer, item = SCORERS["f1_match"], item_for({"kind": "f1_match"})
    assert scorer.compare(item, Gold(aliases), given) == pytest.approx(value)
