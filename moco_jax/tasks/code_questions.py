"""What a coding question says: the function it asks for, and the code it begins."""

import ast
import builtins
import re

from moco_jax.tasks.code_answers import LONGEST, functions, parse

SEARCHED = 60  # lines in which a question's code may begin

_ASSERT = re.compile(r"assert\b.{1,2000}")
_CALL = re.compile(r"assert\s{0,4}\(?\s{0,4}(?:not\s)?\s{0,4}([A-Za-z_]\w{0,100})\s{0,4}\(")
_NAMED = re.compile(r"function (?:named|called) [`'\"]?([A-Za-z_]\w{0,100})")


def prompt_code(question: str) -> str:
    """Code in which a question ends, down to a function to be completed; empty for none."""
    lines = question[:LONGEST].split("\n")
    for start in range(min(SEARCHED, len(lines))):
        source = "\n".join(lines[start:]).strip("\n")
        tree = parse(source) or parse(source + "\n    pass")
        if tree is not None and _is_outline(tree):
            return source if parse(source) is not None else source + "\n    pass"
    return ""


def _is_outline(tree: ast.Module) -> bool:
    """Whether a module only defines and imports, and ends in a function."""
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Assign)
    definitions = [node for node in tree.body if isinstance(node, kinds)]
    constants = [node for node in tree.body if isinstance(node, ast.Expr)]
    return (
        bool(definitions)
        and isinstance(tree.body[-1], ast.FunctionDef)
        and all(isinstance(node.value, ast.Constant) for node in constants)
        and len(definitions) + len(constants) == len(tree.body)
    )


def function_asked_for(question: str, test: str = "") -> str | None:
    """The function a question asks for: the last it begins, else the first that it checks.

    Where the question says nothing, the test's own checks are looked at in the same way.
    """
    tree = parse(prompt_code(question))
    if tree is not None and functions(tree):
        return functions(tree)[-1]
    for text in (question, test):
        for found in _ASSERT.finditer(text[:LONGEST]):
            name = _called(found[0])
            if name is not None and name != "candidate":
                return name
    named = _NAMED.search(question[:LONGEST])
    return named[1] if named else None


def _called(line: str) -> str | None:
    """The outermost function of an assertion that is not Python's own."""
    tree = parse(line)
    if tree is None:
        match = _CALL.search(line)
        return match[1] if match and not hasattr(builtins, match[1]) else None
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = [func.id for func in calls if isinstance(func, ast.Name)]
    return next((name for name in names if not hasattr(builtins, name)), None)
