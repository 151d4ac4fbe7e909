"""Finding a Python program in an output: fenced, cut off, between prose, or only a function's body.

Every function takes time linear in its text, up to the `LONGEST` characters that are looked at.
"""

import ast
import re
import textwrap
import warnings
from dataclasses import dataclass

from moco_jax.tasks.markup import strip_thinking

LONGEST = 100_000
ATTEMPTS = 12  # at cutting what follows a program
PYTHON_TAGS = frozenset({"", "py", "python", "python2", "python3", "ipython", "py3"})

_FENCE = re.compile(r"[ \t]{0,8}(`{3,20}|~{3,20})[ \t]{0,8}([\w+#.-]{0,30})(.{0,200})", re.DOTALL)
_CODE_LINE = re.compile(r"(?:def|class|from|import|async def|@)[ \t]*[\w]|[A-Za-z_]\w{0,60} ?= ?\S")


@dataclass(frozen=True)
class Block:
    """One fenced block; its tag is in lower case."""

    tag: str
    source: str


def find_code(text: str, function: str | None, prompt_code: str) -> str | None:
    """The program that an output answers with, None where it holds none.

    The last Python block that defines the function counts, then any block that does, then code
    between prose, then a body that completes the prompt's code, then the last block as it is.

    Args:
        text: a model's output.
        function: the name asked for; None where nothing says.
        prompt_code: code in the question that the answer may complete, empty for none.
    """
    text = strip_thinking(text).replace("\r\n", "\n")[:LONGEST]
    found = [block for block in blocks(text) if block.source.strip()]
    python = [block.source for block in found if block.tag in PYTHON_TAGS]
    sources = [*(block.source for block in found if block.tag not in PYTHON_TAGS), *python]
    for block in reversed(sources):
        if defines(block, function):
            return block
    trimmed = [trim(source) for source in (*sources[-1:], text)]
    for source in trimmed:
        if source is not None and defines(source, function):
            return source
    for body in (*reversed(python), text):
        completed = complete(prompt_code, body)
        if completed is not None and defines(completed, function):
            return completed
    return (
        python[-1]
        if python
        else next((source for source in trimmed if source and source.strip()), None)
    )


def blocks(text: str) -> list[Block]:
    """Fenced blocks in order; the last may be cut off before its closing fence."""
    found: list[Block] = []
    tag, fence, lines = "", "", list[str]()
    for line in text.split("\n"):
        match = _FENCE.match(line)
        if not fence and match is not None:
            fence, tag, lines = match[1], match[2].lower(), []
            if match[3].strip():  # words after the tag are code on the fence's own line, or notes
                lines = [match[3].strip().rstrip("`")] if "`" in match[3] else []
        elif fence and match is not None and match[1][0] == fence[0] and len(match[1]) >= 3:
            found.append(Block(tag, "\n".join(lines)))
            fence = ""
        elif fence:
            lines.append(line)
    return [*found, Block(tag, "\n".join(lines))] if fence else found


def parse(source: str) -> ast.Module | None:
    """The syntax tree; None where the text is no Python, or nothing the parser can take."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def defines(source: str, function: str | None) -> bool:
    """Whether a module gives a name a value at its top level; any function at all for None."""
    tree = parse(source)
    if tree is None:
        return False
    names = defined_names(tree)
    return bool(functions(tree)) if function is None else function in names


def defined_names(tree: ast.Module) -> set[str]:
    """Names that functions, classes, assignments and imports give at the top level."""
    names: set[str] = set()
    for node in _top_level(tree.body):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
    return names


def _top_level(body: list[ast.stmt]) -> list[ast.stmt]:
    """Statements of a module, with those under its `if` and `try`."""
    found: list[ast.stmt] = []
    for node in body:
        found.append(node)
        if isinstance(node, ast.If | ast.Try):
            found += [*node.body, *node.orelse]
    return found


def functions(tree: ast.Module) -> list[str]:
    """Names of the functions at the top level, in order."""
    return [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]


def trim(text: str) -> str | None:
    """The first stretch of lines that is a program, without the prose around it.

    Starts at the first line that looks like code and drops what follows the last whole statement.
    """
    lines = text.split("\n")
    start = next((at for at, line in enumerate(lines) if _CODE_LINE.match(line)), None)
    if start is None:
        return None
    lines = [line for line in lines[start:] if not line.lstrip().startswith(("```", "~~~"))]
    for _ in range(ATTEMPTS):
        wrong = _wrong_line("\n".join(lines))
        if wrong is None:
            return "\n".join(lines)
        lines = lines[: wrong - 1]
        while lines and lines[-1].strip() and not _ends_statement(lines[-1]):
            lines.pop()
        if not lines:
            return None
    return None


def _ends_statement(line: str) -> bool:
    return not line.rstrip().endswith((":", "\\", ",", "(", "[", "{"))


def _wrong_line(source: str) -> int | None:
    """The line, from 1, at which a text stops being Python; None where it never does."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(source)
    except SyntaxError as error:
        return max(1, error.lineno or 1)
    except (ValueError, MemoryError, RecursionError):
        return 1
    return None


def complete(prompt_code: str, body: str) -> str | None:
    """The prompt's code with a body put under its last function; None where that is no Python."""
    if not prompt_code or not body.strip():
        return None
    indented = textwrap.indent(textwrap.dedent(body.strip("\n")), "    ")
    source = f"{prompt_code.rstrip()}\n{indented}\n"
    whole, stub = parse(source), parse(prompt_code)
    if whole is None or stub is None or functions(whole) != functions(stub):
        return None
    return source
