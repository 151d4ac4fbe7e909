"""What methods there are, read from their source: a list need not wait for JAX to be imported."""

import ast
import pathlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

METHODS = pathlib.Path(__file__).parent.parent / "methods"
LEVELS = ("baseline", "api", "text", "logit", "weight")
NEEDS = {
    "same_architecture": "one architecture",
    "same_vocabulary": "one vocabulary",
    "adapters": "LoRA adapters",
    "kinds": "certain tasks",
}


@dataclass(frozen=True)
class MethodLine:
    """One line of the list.

    Attributes:
        name: what `--method` takes.
        needs: what it asks of the pool and task, in a few words.
        summary: first line of its docstring.
    """

    name: str
    needs: str
    summary: str


def list_methods() -> list[MethodLine]:
    """Every built-in method, by level, then by name."""
    found = []
    for level in LEVELS:
        trees = [ast.parse(file.read_text()) for file in (METHODS / level).glob("*.py")]
        nodes = [node for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)]
        classes = {node.name: node for node in nodes}
        found += sorted(_methods_in(classes), key=lambda line: line.name)
    return found


def _fields_of(node: ast.ClassDef, classes: Mapping[str, ast.ClassDef]) -> dict[str, ast.AnnAssign]:
    """Annotated fields of a class, after those it inherits within its level."""
    fields: dict[str, ast.AnnAssign] = {}
    for base in reversed(node.bases):
        if isinstance(base, ast.Name) and base.id in classes:
            fields |= _fields_of(classes[base.id], classes)
    own = (part for part in node.body if isinstance(part, ast.AnnAssign))
    return fields | {part.target.id: part for part in own if isinstance(part.target, ast.Name)}


def _methods_in(classes: Mapping[str, ast.ClassDef]) -> Iterator[MethodLine]:
    for node in classes.values():
        fields = _fields_of(node, classes)
        name = fields["name"].value if "name" in fields else None
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            yield MethodLine(
                name=name.value,
                needs=_needs(fields["needs"].value) if "needs" in fields else "",
                summary=(ast.get_docstring(node) or "").partition("\n")[0],
            )


def _needs(call: ast.expr | None) -> str:
    if not isinstance(call, ast.Call):
        return ""
    words = []
    for keyword in call.keywords:
        value = ast.unparse(keyword.value)
        if keyword.arg == "members":
            words.append(f"{value}+ members")
        elif keyword.arg == "at_most":
            words.append(f"at most {value}")
        elif keyword.arg in NEEDS:
            words.append(NEEDS[keyword.arg])
    return ", ".join(words)
