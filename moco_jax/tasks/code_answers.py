"""Finding a Python program in an output: fenced, cut off, between prose, or only a function's body.

Every function takes time linear in its text, up to the `LONGEST` characters that are looked at.
"""

import ast
import builtins
import itertools
import re
import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from moco_jax.tasks.markup import strip_thinking

LONGEST = 100_000
ATTEMPTS = 12  # at cutting what follows a program
PYTHON_TAGS = frozenset({"", "py", "python", "python2", "python3", "ipython", "py3"})

# Blanks, marks of block quotes and of a list's item may stand in front of a fence.
_FENCE = re.compile(
    r"[ \t>]{0,40}(?:(?:[-*+•]|\d{1,3}[.)])[ \t]{1,8})?(`{3,20}|~{3,20})[ \t]{0,8}([\w+#.-]{0,30})"
    r"(.{0,200})",
    re.DOTALL,
)
_QUOTE = re.compile(r"[ \t]{0,8}(?:>[ \t]?)+")
_TAGS = re.compile(
    r"</?(?:code|pre|python)(?:\s[^<>\n]{0,80})?>|\[/?(?:BEGIN|DONE|PYTHON|CODE)\]", re.IGNORECASE
)
_DEFINITION = re.compile(r"([ \t]{1,40})(?:def|class|from|import|async def|@)[ \t]*\w")
_STATEMENT = re.compile(r"(?:def|class|from|import|async def|@)[ \t]*[\w]")
_CODE_LINE = re.compile(rf"{_STATEMENT.pattern}|[A-Za-z_]\w{{0,60}} ?= ?\S")


@dataclass(frozen=True)
class Block:
    """One fenced block; its tag is in lower case."""

    tag: str
    source: str


def find_code(text: str, function: str | None, prompt_code: str) -> str | None:
    """The program that an output answers with, None where it holds none.

    The last Python block that defines the function counts, then any block that does, then code
    between prose, then a body that completes the prompt's code, then the last block as it is.
    Blocks in front of a block that give it names it lacks, such as imports, are put before it.

    Args:
        text: a model's output.
        function: the name asked for; None where nothing says.
        prompt_code: code in the question that the answer may complete, empty for none.
    """
    text = strip_thinking(text).replace("\r\n", "\n")[:LONGEST]
    found = [block for block in blocks(text) if block.source.strip()]
    python = [block.source for block in found if block.tag in PYTHON_TAGS]
    sources = [*(block.source for block in found if block.tag not in PYTHON_TAGS), *python]
    for place in reversed(range(len(sources))):
        for source in (sources[place], textwrap.dedent(sources[place])):
            if defines(source, function):
                return _with_parts(without_prose(source), sources[:place])
    bare = _TAGS.sub("\n", text)
    trimmed = [trim(source) for source in (*sources[-1:], bare, _indented(bare))]
    for program in trimmed:
        if program is not None and defines(program, function):
            return without_prose(program)
    for body in (*reversed(python), text, _head(text)):
        completed = complete(prompt_code, body)
        if completed is not None and defines(completed, function):
            return completed
    return (
        python[-1]
        if python
        else next((source for source in trimmed if source and source.strip()), None)
    )


def blocks(text: str) -> list[Block]:
    """Fenced blocks in order; the last may be cut off before its closing fence.

    What stands in front of a fence, as in lists and quotes, is taken off the lines of its block.
    """
    found: list[Block] = []
    tag, fence, margin, lines = "", "", "", list[str]()
    for line in text.split("\n"):
        match = _FENCE.match(line)
        if not fence and match is not None:
            fence, tag, lines = match[1], match[2].lower(), []
            margin = line[: match.start(1)]
            if match[3].strip():  # words after the tag are code on the fence's own line, or notes
                code = "`" in match[3] or _STATEMENT.match(match[3].strip())
                lines = [match[3].strip().rstrip("`")] if code else []
        elif fence and match is not None and match[1][0] == fence[0] and len(match[1]) >= 3:
            found.append(Block(tag, "\n".join(lines)))
            fence = ""
        elif fence:
            lines.append(_within(line, margin))
    return [*found, Block(tag, "\n".join(lines))] if fence else found


def _within(line: str, margin: str) -> str:
    """A line without the margin of the block that it stands in, as far as it has it."""
    if ">" in margin:
        line = _QUOTE.sub("", line, count=1)
        margin = _QUOTE.sub("", margin, count=1)
    if line.startswith(margin):
        return line[len(margin) :]
    width = len(margin.expandtabs(4))
    blanks = len(line) - len(line.lstrip())
    return line[min(blanks, width) :] if "\t" not in line[:blanks] else line.lstrip()


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


def _indented(text: str) -> str:
    """The lines from the first indented definition on that are indented as deep, without that."""
    lines = text.split("\n")
    starts = [(at, match[1]) for at, line in enumerate(lines) if (match := _DEFINITION.match(line))]
    if not starts:
        return ""
    first, margin = starts[0]
    kept: list[str] = []
    for line in lines[first:]:
        if line.strip() and not line.startswith(margin):
            break
        kept.append(line[len(margin) :])
    return "\n".join(kept)


def _head(text: str) -> str:
    """The indented lines that a text begins with, if it begins so."""
    lines = text.strip("\n").split("\n")
    kept = itertools.takewhile(lambda line: not line.strip() or line[0] in " \t", lines)
    return "\n".join(kept)


def without_prose(source: str) -> str:
    """A program without words at its top level that only happen to be Python, such as "Done".

    They are bare names, lists of names, or "Note: simple", with a name that nothing defines.
    """
    tree = parse(source)
    if tree is None:
        return source
    stored = {
        n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }
    known = defined_names(tree) | stored | set(dir(builtins))
    if "*" in known:
        return source
    lines = source.split("\n")
    for node in reversed(tree.body):
        if _is_prose(node, known):
            del lines[node.lineno - 1 : node.end_lineno]
    return "\n".join(lines)


def _with_parts(source: str, before: Sequence[str]) -> str:
    """A program behind those of the blocks before it that define a name which it lacks."""
    parts = [source]
    for block in map(textwrap.dedent, reversed(before)):
        tree, whole = parse(block), parse("\n".join(parts))
        if tree is not None and whole is not None and defined_names(tree) & _lacking(whole):
            parts.insert(0, without_prose(block))
    return "\n\n".join(parts) if len(parts) > 1 else source


def _lacking(tree: ast.Module) -> set[str]:
    """Names that a module reads, and neither it nor Python gives a value."""
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    given = {node.id for node in names if not isinstance(node.ctx, ast.Load)}
    given |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    read = {node.id for node in names if isinstance(node.ctx, ast.Load)}
    return read - given - defined_names(tree) - set(dir(builtins))


def _is_prose(node: ast.stmt, known: set[str]) -> bool:
    if isinstance(node, ast.AnnAssign) and node.value is None:
        words: ast.expr = node.annotation
    elif isinstance(node, ast.Expr):
        words = node.value
        if any(isinstance(part, ast.Call | ast.Await) for part in ast.walk(words)):
            return False
    else:
        return False
    return any(isinstance(part, ast.Name) and part.id not in known for part in ast.walk(words))


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
