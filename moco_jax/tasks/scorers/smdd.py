"""SMDD-Bench (arXiv 2605.21740): a better molecule, or a function that tells actives from decoys.

Rows name their `subtype`. `lead_opt` scores 1.0 where the molecule meets all hard constraints of
the item; its ADMET objectives are not predicted, so this says "constraints met", not "solved".
`pharmacophore` runs the function in the sandbox on hidden molecules and scores the mean of its
share of right actives and its share of right decoys.
"""

from collections.abc import Mapping
from typing import Any

from moco_jax.tasks import molecules, pharmacophore
from moco_jax.tasks.items import Gold, Item
from moco_jax.tasks.markup import strip_thinking
from moco_jax.tasks.sandbox import Program, Result
from moco_jax.tasks.scorers.base import Content, Programmed, Scorer
from moco_jax.tasks.scorers.fields import raw_field, text_field

SUBTYPES = ("lead_opt", "pharmacophore")
FUNCTION = "check_pharmacophore"


def read(row: Mapping[str, Any]) -> Content:
    """A row of either subtype: `{input, reference_smiles}`, or lists of train and hidden SMILES."""
    subtype = row.get("subtype")
    if subtype == "lead_opt":
        gold = Gold((), subtype, {"reference": text_field(row, "reference_smiles")})
        return Content(raw_field(row, "input"), (), gold)
    if subtype != "pharmacophore":
        raise ValueError(f"field 'subtype' is {subtype!r}; it must be one of {SUBTYPES}")
    names = ("train_actives", "train_decoys", "hidden_actives", "hidden_decoys")
    train_actives, train_decoys, actives, decoys = (_smiles_field(row, name) for name in names)
    question = pharmacophore.question(train_actives, train_decoys)
    return Content(question, (), Gold((), subtype, {"actives": actives, "decoys": decoys}))


def _smiles_field(row: Mapping[str, Any], name: str) -> list[str]:
    value = row.get(name)
    if not isinstance(value, list) or not value or not all(isinstance(s, str) for s in value):
        raise ValueError(f"field {name!r} must be a list of SMILES strings that is not empty")
    return value


def extract(item: Item, text: str) -> str | None:
    """The code that holds the function, or the molecule; which of them the question settles."""
    text = strip_thinking(text)
    if FUNCTION in item.question:
        return pharmacophore.code(text)
    return molecules.find_smiles(text)


def canonical(item: Item, parsed: str) -> str:
    """A molecule's canonical SMILES; code as it stands."""
    if FUNCTION in item.question:
        return parsed
    return molecules.canonical_smiles(parsed) or parsed


def compare(item: Item, gold: Gold, parsed: str) -> float:
    """1.0 for a molecule that meets the constraints, else 0.0; functions go to the sandbox."""
    return float(molecules.meets_constraints(parsed, gold.details["reference"]))


def program(item: Item, gold: Gold, parsed: str) -> Program | None:
    """What runs a function on the hidden molecules; None where the answer is a molecule."""
    if gold.answer_type == "lead_opt":
        return None
    return pharmacophore.program(parsed, gold.details["actives"], gold.details["decoys"])


def value(gold: Gold, result: Result) -> float:
    """Balanced accuracy over the hidden molecules."""
    return pharmacophore.balanced_accuracy(result, gold.details["actives"], gold.details["decoys"])


SCORER = Scorer(
    read,
    extract,
    canonical,
    compare,
    molecules.require_rdkit,
    programmed=Programmed(program, value),
)
