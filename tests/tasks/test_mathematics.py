"""Equal expressions of different spelling, and expressions that would take for ever."""

import pytest

from moco_jax.tasks import mathematics
from moco_jax.tasks.mathematics import SCRIPT, looks_mathematical, same_mathematics
from moco_jax.tasks.scorers.exact_match import equal
from moco_jax.tasks.workers import Worker


@pytest.mark.parametrize("text", ["x^2", r"\sqrt{2}", "(1, y)", r"\begin{pmatrix} 1 \end{pmatrix}"])
def test_what_looks_like_mathematics(text):
    assert looks_mathematical(text)


@pytest.mark.parametrize(
    "text", ["", "yes", "two dogs", "101_2", "> } >}", r"3\text{ cm}", "1" * 999]
)
def test_what_does_not(text):
    assert not looks_mathematical(text)


def test_without_the_extra_expressions_are_text(monkeypatch, caplog):
    monkeypatch.setattr(mathematics.importlib.util, "find_spec", lambda name: None)
    mathematics._installed.cache_clear()
    try:
        assert not equal("2(x+1)", "2x+2")
        assert equal("2x + 2", "2x+2") and equal("1/2", r"\frac{1}{2}")
    finally:
        mathematics._installed.cache_clear()


@pytest.mark.parametrize(
    ("given", "gold", "same"),
    [
        ("2(x+1)", "2x+2", True),
        (r"\sqrt{8}", r"2\sqrt{2}", True),
        ("i+3", "3 + i", True),
        ("x-1", "x+1", False),
        ("(4,5]", "[4,5)", False),
        (r"\frac{524}{7}", r"\frac{52}{47}", False),
    ],
)
def test_algebra(given, gold, same):
    pytest.importorskip("math_verify")
    assert equal(given, gold) == same


def test_a_comparison_that_takes_too_long_is_ended_and_the_next_one_works():
    pytest.importorskip("math_verify")
    checker = Worker(SCRIPT, limit=1.0)
    try:
        assert checker.ask(["3", "9^{9^{9^{9}}}"]) is not True
        assert checker.ask(["2x", "x+x"]) is True
    finally:
        checker.close()


def test_a_worker_is_replaced_when_old_or_dead(tmp_path):
    script = tmp_path / "count.py"
    script.write_text(
        "import sys\nprint(0, flush=True)\n"
        "for n, line in enumerate(sys.stdin):\n"
        "    if 'die' in line: sys.exit()\n"
        "    print(n, flush=True)\n"
    )
    counting = Worker(script, limit=20.0, requests=2)
    try:
        assert [counting.ask("go") for _ in range(3)] == [0, 1, 0]
        assert counting.ask("die") is None
        assert counting.ask("go") == 0
    finally:
        counting.close()


def test_a_script_that_does_not_start_is_named(tmp_path):
    script = tmp_path / "broken.py"
    script.write_text("syntax(")
    with pytest.raises(RuntimeError, match="did not start"):
        Worker(script, limit=1.0).ask("go")


def test_long_or_wordy_text_never_reaches_the_algebra(monkeypatch):
    monkeypatch.setattr(mathematics, "_equal", lambda given, gold: pytest.fail("asked"))
    assert not same_mathematics("x+" * 100_000, "x")
    assert not same_mathematics("so the value is x", "x+1")
