"""Gene ranking (AssayBench, arXiv 2605.10876): chance-adjusted nDCG of a comma-separated list."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from moco_jax.tasks.items import Gold, Item
from moco_jax.tasks.markup import strip_thinking
from moco_jax.tasks.scorers.base import Content, Scorer
from moco_jax.tasks.scorers.fields import raw_field

CUTOFF = 100  # ranks that count
LONGEST = 100_000  # characters that are looked at

OPEN = re.compile("<final answer>", re.IGNORECASE)
CLOSE = re.compile("</final answer>", re.IGNORECASE)
# Emphasis, bullets and a number around a gene, and "Here are the genes:" in front of the first.
MARKS = " \t\r*_`#•-.;"
ORDINAL = re.compile(r"\A\d{1,4}[.)]\s{1,4}")
PREAMBLE = re.compile(r"\A[^,:\n]{0,200}:\s{0,8}")
SEPARATOR = re.compile(r"[,;\n]")


def read(row: Mapping[str, Any]) -> Content:
    """A row `{input, relevance_genes, relevance_scores}`, the last two parallel."""
    genes, scores = row.get("relevance_genes"), row.get("relevance_scores")
    if not isinstance(genes, list) or not isinstance(scores, list) or len(genes) != len(scores):
        raise ValueError(
            "fields 'relevance_genes' and 'relevance_scores' must be lists of one length"
        )
    if not all(isinstance(score, int | float) and math.isfinite(score) for score in scores):
        raise ValueError("field 'relevance_scores' must hold finite numbers")
    names = (str(gene).strip().upper() for gene in genes)
    relevance = dict(zip(names, map(float, scores), strict=True))
    return Content(raw_field(row, "input"), (), Gold((), details={"relevance": relevance}))


def extract(item: Item, text: str) -> str | None:
    """The genes of the last `<Final Answer>`, else of the whole text, as in `"TP53,BRCA1"`.

    No genes at all are an empty ranking, which is worth what it gains: nothing.
    """
    text = strip_thinking(text)[:LONGEST]
    closes = [match.start() for match in CLOSE.finditer(text)]
    opens = [match.end() for match in OPEN.finditer(text, 0, closes[-1])] if closes else []
    listed = text[opens[-1] : closes[-1]] if opens else text
    parts = SEPARATOR.split(PREAMBLE.sub("", listed.strip(), count=1))
    genes = [gene for part in parts if (gene := _bare(part))]
    return ",".join(dict.fromkeys(genes))


def _bare(part: str) -> str:
    return ORDINAL.sub("", part.strip(MARKS)).strip(MARKS).upper()


def canonical(item: Item, parsed: str) -> str:
    """The list as extracted."""
    return parsed


def compare(item: Item, gold: Gold, parsed: str) -> float:
    """The list's `adjusted_ndcg`; a gene that is not known keeps its rank and is worth nothing."""
    relevance: Mapping[str, float] = gold.details["relevance"]
    ranked = [relevance.get(gene, 0.0) for gene in parsed.split(",")]
    return adjusted_ndcg(ranked, list(relevance.values()))


def adjusted_ndcg(ranked: Sequence[float], relevance: Sequence[float]) -> float:
    """nDCG at 100 with chance at 0 and the ideal order at 1; worse than chance is 0.

    Args:
        ranked: relevance of what was listed, best first.
        relevance: relevance of everything there is. Where all are worth the same there is no order
            to find, and the value is 0.
    """
    ideal = dcg(sorted((max(value, 0.0) for value in relevance), reverse=True))
    if ideal <= 0.0:
        return 0.0
    mean = sum(relevance) / len(relevance)
    chance = dcg([mean] * len(relevance)) / ideal
    room = 1.0 - chance
    return max((dcg(ranked) / ideal - chance) / room, 0.0) if room > 1e-12 else 0.0


def dcg(ranked: Sequence[float]) -> float:
    """Discounted cumulative gain of the first hundred, discount log2 of the rank plus one."""
    return sum(value / math.log2(rank + 2) for rank, value in enumerate(ranked[:CUTOFF]))


SCORER = Scorer(read, extract, canonical, compare)
