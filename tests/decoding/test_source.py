"""The hash of what code does changes with everything that it leads to, and with nothing else."""

import dataclasses
import functools
import importlib
import pathlib
import subprocess
import sys
import textwrap
import types

import pytest

from moco_jax.decoding.combine import FIRST, WEIGHTED_LOGITS
from moco_jax.decoding.source import source_digest
from moco_jax.methods import prompts
from moco_jax.methods.text.majority_vote import MajorityVote
from moco_jax.methods.text.moa import Moa

FILE = '''
"""A policy of a user's own."""
import dataclasses, enum, functools, re
import numpy as np
import words_beside

SCALE = 2.0
WORDS = {"and", "or", "not", "xor"}
TABLE = np.array([1.0, 2.0])
PATTERN = re.compile("a+")
class Kind(enum.Enum):
    ONE = 1

def helper(x, y=1):
    """Doubles."""
    return SCALE * x + y

class Base:
    limit = 3
    def shared(self):
        return self.limit

@dataclasses.dataclass(frozen=True)
class Held(Base):
    size: int = 4
    def twice(self):
        return 2 * self.size
    @property
    def thrice(self):
        return 3 * self.size

def wrapped(function):
    @functools.wraps(function)
    def inner(*args):
        return function(*args) + 0.5
    return inner

@wrapped
def decorated(x):
    return [helper(part) for part in x]

def lazily():
    from words_within import ANSWER
    return ANSWER

def step(x):
    # A comment
    held = Held()
    inner = lambda y: held.twice() + words_beside.count(y) if y in WORDS else TABLE
    return decorated(x), inner, held.thrice, PATTERN.match("b"), Kind.ONE, lazily()
'''
BESIDE = "LEAST = 1\ndef count(y):\n    return len(y) + LEAST\n\ndef unused():\n    return 1\n"
WITHIN = "ANSWER = 42\n"


@pytest.fixture
def digest_of(tmp_path, monkeypatch):
    """The digest of `step` in files with these contents."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    names = ("policy_of_mine", "words_beside", "words_within")

    def found(file=FILE, beside=BESIDE, within=WITHIN):
        for name, text in zip(names, (file, beside, within), strict=True):
            (tmp_path / f"{name}.py").write_text(text)
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        return source_digest(importlib.import_module("policy_of_mine").step)

    yield found
    for name in names:
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SCALE = 2.0", "SCALE = 3.0"),
        ("y=1", "y=2"),
        ("SCALE * x", "SCALE / x"),
        ("limit = 3", "limit = 5"),
        ("return self.limit", "return -self.limit"),
        ("size: int = 4", "size: int = 5"),
        ("2 * self.size", "2 + self.size"),
        ("3 * self.size", "4 * self.size"),
        ("+ 0.5", "+ 0.25"),
        ("for part in x", "for part in x[1:]"),
        ('"xor"', '"nor"'),
        ("[1.0, 2.0]", "[1.0, 2.5]"),
        ('"a+"', '"a*"'),
        ("ONE = 1", "ONE = 2"),
        ("@wrapped\n", ""),
        ("class Held(Base)", "class Held"),
    ],
)
def test_all_that_code_leads_to_counts(digest_of, old, new):
    assert FILE.count(old) == 1
    assert digest_of(FILE.replace(old, new)) != digest_of()


def test_modules_beside_a_users_file_count_where_they_are_used(digest_of):
    plain = digest_of()
    assert digest_of(beside=BESIDE.replace("LEAST = 1", "LEAST = 2")) != plain
    assert digest_of(beside=BESIDE.replace("len(y)", "sum(y)")) != plain
    assert digest_of(beside=BESIDE.replace("return 1", "return 2")) == plain
    assert digest_of(within=WITHIN.replace("42", "43")) != plain


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# A comment", "# Another comment, and\n    # one more line"),
        ("Doubles", "Doubles, then adds"),
        ('    """Doubles."""\n', ""),
        ("def decorated(x):", 'def decorated(x):\n    """Helps."""'),
        ("def helper(x, y=1):", "def helper(x: float, y: float = 1) -> float:"),
        ("import dataclasses, enum", "\n\n\nimport dataclasses, enum"),
        ("class Kind", "def elsewhere():\n    return 7\n\n\nclass Kind"),
        ('{"and", "or", "not", "xor"}', '{"xor", "not", "or", "and"}'),
        ("A policy of a user's own", "Mine"),
    ],
)
def test_words_about_code_and_code_beside_it_do_not_count(digest_of, old, new):
    assert FILE.count(old) == 1
    assert digest_of(FILE.replace(old, new)) == digest_of()


def test_prompts_and_helpers_of_the_package_count(monkeypatch):
    moa, voting, policy = (source_digest(one) for one in (Moa, MajorityVote, FIRST))
    monkeypatch.setattr(prompts, "remind", lambda *parts: "other words")
    assert source_digest(Moa) != moa
    assert source_digest(MajorityVote) == voting
    assert source_digest(FIRST) == policy != source_digest(WEIGHTED_LOGITS)


def test_what_objects_hold_counts():
    def scaled(by):
        return lambda x: by * x

    @dataclasses.dataclass(frozen=True)
    class Step:
        by: float

        def __call__(self, x):
            return self.by * x

    class Plain:
        def __init__(self, by):
            self.by = by

        def __call__(self, x):
            return self.by * x

    def reading(by):
        held = types.SimpleNamespace(by=by)
        return lambda x: held.by * x

    for make in (
        scaled,
        Plain,
        reading,
        Step,
        lambda by: Step(by).__call__,
        lambda by: functools.partial(max, by),
        lambda by: functools.partial(scaled, by=by),
    ):
        assert source_digest(make(1.0)) == source_digest(make(1.0)) != source_digest(make(2.0))


def test_a_helper_that_was_defined_again_counts():
    space = {"__name__": "__main__"}
    exec("def helper(x):\n    return x\ndef step(x):\n    return helper(x)", space)
    before = source_digest(space["step"])
    exec("def helper(x):\n    return -x", space)
    assert source_digest(space["step"]) != before


def test_a_table_counts_and_a_memory_does_not():
    code = """
TABLE = {"a": 1}
MEMORY, LOG = {}, []
def read(x):
    return MEMORY.get(x)
def step(x):
    found = read(x)
    MEMORY[x] = TABLE["a"]
    LOG.append(x)
    return found
"""
    space = {"__name__": "__main__"}
    exec(code, space)
    before = source_digest(space["step"])
    space["step"](3)
    assert source_digest(space["step"]) == before
    space["TABLE"]["a"] = 2
    assert source_digest(space["step"]) != before


def test_code_that_calls_itself_has_an_end():
    def even(n):
        return n == 0 or odd(n - 1)

    def odd(n):
        return n != 0 and even(n - 1)

    assert source_digest(even) == source_digest(even) != source_digest(odd)


def test_long_chains_of_calls_are_followed():
    links = [f"def f{n}(x):\n    return f{n + 1}(x)\n" for n in range(2000)]
    found = []
    for last in ("x", "-x"):
        space = {"__name__": "__main__"}
        exec("".join(links) + f"def f2000(x):\n    return {last}\n", space)
        found.append(source_digest(space["f0"]))
    assert found[0] != found[1]


def test_every_process_finds_the_same():
    code = """
        from moco_jax.decoding.source import source_digest
        from moco_jax.methods.registry import METHODS
        print(source_digest(*METHODS.values()))
    """
    root = pathlib.Path(__file__).parents[2]
    found = {
        subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)],
            capture_output=True,
            text=True,
            check=True,
            cwd=root,
            env={
                "PYTHONHASHSEED": seed,
                "PYTHONPATH": str(root),
                "PATH": "",
                "JAX_PLATFORMS": "cpu",
            },
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1
