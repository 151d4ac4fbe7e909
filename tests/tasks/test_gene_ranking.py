"""Gene ranking: how lists are read, and their gain against brute force."""

import math

import pytest

from moco_jax.tasks import SCORERS, Item, score_items
from moco_jax.tasks.scorers.gene_ranking import adjusted_ndcg

SCORER = SCORERS["gene_ranking"]
ITEM = Item(id="dev/0", prompt="q", question="q", kind="gene_ranking")
ROW = {"input": "q", "relevance_genes": ["a1", "B2", "C3"], "relevance_scores": [3, 1, 0]}


@pytest.mark.parametrize(
    "text",
    [
        "A1, B2",
        "a1,b2,A1",
        "1. A1\n2. B2",
        "- **A1**\n- B2.",
        "Here are the genes: A1; B2",
        "<Final Answer>C3</Final Answer> Better: <final answer>A1, B2</FINAL ANSWER>",
        "<think>C3, B2</think>A1, B2",
    ],
)
def test_lists_in_common_formats(text):
    assert SCORER.extract(ITEM, text) == "A1,B2"


def test_the_gain_is_the_textbook_one():
    ideal = 3 + 1 / math.log2(3)
    chance = (4 / 3) * (1 + 1 / math.log2(3) + 0.5) / ideal
    given = (1 + 3 / math.log2(4)) / ideal
    gold = SCORER.read(ROW).gold
    outputs = ["A1,B2", "B2,X9,A1", "C3", ""]
    scores = [score.value for score in score_items([ITEM] * 4, [gold] * 4, outputs)]
    assert scores == pytest.approx([1.0, max((given - chance) / (1 - chance), 0.0), 0.0, 0.0])


def test_there_is_no_order_to_find_among_equals():
    assert adjusted_ndcg([1.0, 1.0], [1.0, 1.0]) == 0.0
    assert adjusted_ndcg([0.0], [0.0, -1.0]) == 0.0


def test_a_broken_row_is_named():
    for field, value in (("relevance_scores", [1]), ("relevance_scores", [1, 2, math.nan])):
        with pytest.raises(ValueError, match="relevance_scores"):
            SCORER.read({**ROW, field: value})
