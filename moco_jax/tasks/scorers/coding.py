"""Coding (HumanEval, arXiv 2107.03374; MBPP, arXiv 2108.07732): a program passes its tests.

The program runs in the sandbox, in one namespace with its test, as both data sets expect.
"""

import ast
from collections.abc import Mapping
from typing import Any

from moco_jax.tasks.code_answers import find_code, functions, parse
from moco_jax.tasks.code_questions import function_asked_for, prompt_code
from moco_jax.tasks.items import Gold, Item
from moco_jax.tasks.sandbox import Program, Result
from moco_jax.tasks.scorers.base import Content, Programmed, Scorer, left_to_a_program
from moco_jax.tasks.scorers.fields import text_field

LANGUAGES = ("python", "python3", "py")


def read(row: Mapping[str, Any]) -> Content:
    """A row `{input, test}` and perhaps `language` and `entry_point`.

    The test defines `check(candidate)`, or consists of assertions. Without one there is no gold.
    """
    language = str(row.get("language") or "python")
    if language.lower() not in LANGUAGES:
        raise ValueError(
            f"field 'language' is {language!r}; only Python programs can be run here, so leave "
            "these rows out"
        )
    question, test = text_field(row, "input"), text_field(row, "test")
    if not test.strip():
        return Content(question, (), None)
    if parse(test) is None:
        raise ValueError(
            "field 'test' is not Python source; it must define check(candidate) or hold "
            "assertions (tests as pairs of input and output are not supported)"
        )
    name = row.get("entry_point") or function_asked_for(question, test)
    return Content(question, (), Gold((), details={"test": test, "function": name}))


def extract(item: Item, text: str) -> str | None:
    """The program, or the body that the question's code lacks put under it."""
    return find_code(text, function_asked_for(item.question), prompt_code(item.question))


def canonical(item: Item, parsed: str) -> str:
    """The program without comments and layout."""
    tree = parse(parsed)
    try:
        return parsed if tree is None else ast.unparse(tree)
    except RecursionError:
        return parsed


def program(item: Item, gold: Gold, parsed: str) -> Program:
    """The question's code, the answer and the test, and the call that checks the function.

    The question's imports and helpers come first, as a model that continues its text relies on
    them; the answer's own definitions replace them.
    """
    test, name = gold.details["test"], gold.details["function"]
    if name is None:
        tree = parse(parsed)
        name = functions(tree)[-1] if tree is not None and functions(tree) else "None"
    tree = parse(test)
    checks = tree is not None and "check" in functions(tree)
    parts = (_setting(item.question, name), parsed, test)
    return Program(parts, f"check({name}) and None" if checks else "None")


def _setting(question: str, name: str) -> str:
    """The question's code without the function asked for, which only the answer may define."""
    tree = parse(prompt_code(question))
    if tree is None:
        return ""
    kept = [node for node in tree.body if getattr(node, "name", None) != name]
    return ast.unparse(ast.Module(kept, []))


def value(gold: Gold, result: Result) -> float:
    """1.0 where the program came to the end of its test, however it was doing otherwise."""
    return float(result.status == "finished")


SCORER = Scorer(read, extract, canonical, left_to_a_program, programmed=Programmed(program, value))
