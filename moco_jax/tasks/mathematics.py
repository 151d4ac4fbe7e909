"""Whether two mathematical expressions are equal, by math-verify in a process of its own.

Algebra on model output can take for ever (`9^{9^{9^9}}`), so every comparison has a wall-clock
limit, after which the process is killed and the answer counts as different; the process is also
replaced after a number of comparisons, because its caches only grow. Needs the extra `math`;
without it expressions are compared as text only, which is said once.
"""

import functools
import importlib.util
import pathlib
import re

from absl import logging

from moco_jax.tasks.workers import worker

SCRIPT = pathlib.Path(__file__).with_name("mathematics_worker.py")
LIMIT_SECONDS = 3.0
LONGEST = 300  # characters of an expression

_COMMAND = re.compile(r"\\(?:begin|end)\{[a-z]{1,9}\}|\\([A-Za-z]+)")
_WORDY = frozenset({"text", "mbox", "mathrm", "textbf", "mathbf", "textit", "phantom"})
_OPERATOR = re.compile(r"[\d^=+*/<>√π∞]")
_LONG_WORD = re.compile(r"[^\W\d_]{4}")


def looks_mathematical(text: str) -> bool:
    """Whether a text is short, has a command, an operator or a digit, and no words.

    Subscripts are left alone: they can be number bases, which math-verify drops.
    """
    if len(text) > LONGEST or "\n" in text or "_" in text or not any(map(str.isalnum, text)):
        return False
    commands = set(_COMMAND.findall(text))
    if commands & _WORDY or _LONG_WORD.search(_COMMAND.sub(" ", text)):
        return False
    return bool(commands) or _OPERATOR.search(text) is not None


def same_mathematics(given: str, gold: str) -> bool:
    """Whether two expressions are equal; False where one is none, or where that takes too long."""
    if not (looks_mathematical(given) and looks_mathematical(gold)):
        return False
    if not _installed():
        return False
    return _equal(given, gold)


@functools.cache
def _installed() -> bool:
    if importlib.util.find_spec("math_verify") is not None:
        return True
    logging.warning(
        "math-verify is not installed, so algebra in LaTeX is compared as text and equal "
        "expressions of different spelling count as wrong; install it with: "
        "pip install 'moco_jax[math]'"
    )
    return False


@functools.lru_cache(maxsize=4096)
def _equal(given: str, gold: str) -> bool:
    return worker(SCRIPT, LIMIT_SECONDS).ask([gold, given]) is True
