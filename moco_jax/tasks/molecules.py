"""Molecules in text, judged by RDKit (extra `chem`) in a process of its own with a time limit."""

import functools
import importlib.util
import pathlib
import re
from collections.abc import Sequence
from typing import Any

from moco_jax.tasks.workers import worker

SCRIPT = pathlib.Path(__file__).with_name("molecules_worker.py")
LIMIT_SECONDS = 10.0
LONGEST = 400  # characters of a SMILES
MOST = 60  # candidates of each sort, from the end of a text

SMILES = re.compile(r"[A-Za-z0-9@+\-\[\]()=#$:/\\.%*~]+")
BACKTICKED = re.compile(r"`([^`\s]{1,400})`")
LABEL = re.compile(r"\A(?:smiles|final answer|answer)\s?[:=]\s?", re.IGNORECASE)


def require_rdkit() -> None:
    """Raises a ValueError where RDKit is not installed."""
    if importlib.util.find_spec("rdkit") is None:
        raise ValueError(
            "scoring molecules needs RDKit; install it with: pip install 'moco_jax[chem]'"
        )


def find_smiles(text: str) -> str | None:
    """The molecule a text gives: its last line that is one, else in backticks, else a last word."""
    lines = [LABEL.sub("", line.strip(" \t*")).strip("`'\"$ ") for line in text.split("\n")]
    words = text.split()
    trimmed = [word.strip("`'\"$*,;:!?").rstrip(".") for word in words[-MOST:]]
    sorts = (lines, BACKTICKED.findall(text), trimmed)
    candidates = [found for sort in sorts for found in _possible(sort)]
    return _ask("find", candidates) if candidates else None


def _possible(texts: Sequence[str]) -> list[str]:
    """What may be a SMILES by its length and characters, last first."""
    last = [text for text in texts[-MOST:] if 0 < len(text) <= LONGEST]
    return [text for text in reversed(last) if SMILES.fullmatch(text)]


def canonical_smiles(smiles: str) -> str | None:
    """RDKit's one spelling of a molecule."""
    return _ask("canonical", smiles)


def meets_constraints(smiles: str, reference: str) -> bool:
    """Whether a molecule differs from the reference, is similar to it, and is druglike."""
    return _meets(smiles, reference)


@functools.lru_cache(maxsize=4096)
def _meets(smiles: str, reference: str) -> bool:
    return _ask("meets", smiles, reference) is True


def _ask(*request: Any) -> Any | None:
    require_rdkit()
    answer = worker(SCRIPT, LIMIT_SECONDS).ask(request)
    return None if answer is None else answer[0]
