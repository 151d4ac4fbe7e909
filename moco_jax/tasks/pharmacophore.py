"""Functions that tell actives from decoys: what is asked, and how an answer is run and judged.

The labels of the hidden molecules stay in this process: the sandboxed program gets the molecules in
one mixed order, after the answer's code has run, and gives one verdict for each.
A molecule on which the function fails counts as wrong.
"""

import random
import re
from collections.abc import Sequence

from moco_jax.tasks.code_answers import blocks
from moco_jax.tasks.sandbox import Limits, Program, Result

FUNCTION = "check_pharmacophore"
LIMITS = Limits(cpu_seconds=60, wall_seconds=60.0, memory_bytes=4 << 30)
LONGEST = 50_000

DEFINES = re.compile(rf"^(?:def {FUNCTION}\s?\(|{FUNCTION}\s?=)", re.MULTILINE)

QUESTION = """\
Write a Python function that tells molecules that are active against one target from decoys.

Actives:
{actives}

Decoys:
{decoys}

Define `check_pharmacophore(smiles: str) -> bool`. It returns True for a molecule that has what
makes the actives bind and False otherwise, and is judged on other molecules than these. It may use
Python's standard library, numpy and RDKit (Chem, and under Chem: AllChem, Descriptors, Lipinski,
rdMolDescriptors, rdFingerprintGenerator, ChemicalFeatures, Pharm2D), but neither os nor subprocess.
Answer with one Python code block that holds the function and its imports, and nothing else."""

# Runs after the answer's code, in its namespace.
JUDGE = """\
def _verdicts(check, molecules):
    found = []
    for molecule in molecules:
        try:
            found.append(bool(check(molecule)))
        except Exception:
            found.append(None)
    return found
"""


def question(actives: Sequence[str], decoys: Sequence[str]) -> str:
    """What is asked, with the molecules that may be seen."""
    return QUESTION.format(actives="\n".join(actives), decoys="\n".join(decoys))


def code(text: str) -> str | None:
    """The last code block that defines the function, else the text itself if it does."""
    fenced = [block.source + "\n" for block in blocks(text[:LONGEST])]
    return next(
        (source for source in (*reversed(fenced), text[:LONGEST]) if DEFINES.search(source)), None
    )


def program(source: str, actives: Sequence[str], decoys: Sequence[str]) -> Program:
    """The answer's code, then a verdict on each molecule; which is active is not sent along."""
    molecules = [molecule for molecule, _ in _mixed(actives, decoys)]
    return Program((source, JUDGE), f"_verdicts({FUNCTION}, {molecules!r})", LIMITS)


def balanced_accuracy(result: Result, actives: Sequence[str], decoys: Sequence[str]) -> float:
    """Mean of the share of actives found True and the share of decoys found False.

    0.0 where the program did not come to its end.
    """
    verdicts, labelled = result.value, _mixed(actives, decoys)
    if not isinstance(verdicts, list) or len(verdicts) != len(labelled):
        return 0.0
    right = {True: 0, False: 0}
    for verdict, (_, label) in zip(verdicts, labelled, strict=True):
        right[label] += verdict is label
    return 0.5 * right[True] / len(actives) + 0.5 * right[False] / len(decoys)


def _mixed(actives: Sequence[str], decoys: Sequence[str]) -> list[tuple[str, bool]]:
    """All molecules with their labels, in an order that is the same in every call."""
    labelled = [(molecule, True) for molecule in actives]
    labelled += [(molecule, False) for molecule in decoys]
    random.Random(len(labelled)).shuffle(labelled)
    return labelled
