"""F1 match: overlap of words between an extracted answer and the best alias of the gold."""

import string
import unicodedata
from collections import Counter
from collections.abc import Mapping

from moco_jax.tasks.extraction import extract_answer
from moco_jax.tasks.items import Gold, Item
from moco_jax.tasks.scorers.base import Scorer
from moco_jax.tasks.scorers.fields import read_free_text

ARTICLES = frozenset({"a", "an", "the"})
_DASHES = dict.fromkeys(map(ord, "‐‑‒–—−"), "-")
_QUOTES = dict.fromkeys(map(ord, "“”„«»‘’‚′"), "'")
_JOIN = str.maketrans("", "", string.punctuation)
_SPLIT = str.maketrans({**dict.fromkeys(string.punctuation, ""), "-": " ", "/": " "})


def extract(item: Item, text: str) -> str | None:
    """The final answer; the whole text where nothing marks one."""
    return extract_answer(text)


def words(text: str, hyphens: Mapping[int, int | str | None]) -> list[str]:
    """Lower-case words without punctuation and articles; `hyphens` says what joins a word."""
    text = unicodedata.normalize("NFKC", text).casefold().translate({**_DASHES, **_QUOTES})
    return [word for word in text.translate(hyphens).split() if word not in ARTICLES]


def token_f1(predicted: list[str], gold: list[str]) -> float:
    """Harmonic mean of precision and recall over the two bags of words; 0.0 where one is empty."""
    overlap = (Counter(predicted) & Counter(gold)).total()
    return 2.0 * overlap / (len(predicted) + len(gold)) if overlap else 0.0


def canonical(item: Item, parsed: str) -> str:
    """The answer's words, in order."""
    return " ".join(words(parsed, _SPLIT)) or parsed


def compare(item: Item, gold: Gold, parsed: str) -> float:
    """The best F1 over the aliases; full marks also where only hyphens part the words."""
    return max(_alias_f1(parsed, alias) for alias in gold.answers)


def _alias_f1(parsed: str, alias: str) -> float:
    given = words(parsed, _SPLIT)
    if given and sorted(given) == sorted(words(alias, _SPLIT)):
        return 1.0
    return token_f1(words(parsed, _JOIN), words(alias, _JOIN))


SCORER = Scorer(read_free_text, extract, canonical, compare)
