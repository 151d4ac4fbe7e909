"""Functions that tell actives from decoys: what is asked, and how an answer is run and judged.

The labels of the hidden molecules stay in this process: the sandboxed program gets the molecules in
one mixed order, after the answer's code has run, and gives one verdict for each.
A molecule on which the function fails counts as wrong.
"""

import random
import re
from collections.abc import Sequence

from moco_jax.tasks.sandbox import Limits, Program, run_programs

FUNCTION = "check_pharmacophore"
LIMITS = Limits(cpu_seconds=60, wall_seconds=60.0, memory_bytes=4 << 30)
LONGEST = 50_000

FENCED = re.compile(r"```[^\n`]{0,40}\n(.*?)(?:```|\Z)", re.DOTALL)
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
    blocks = [match.group(1) for match in FENCED.finditer(text[:LONGEST])]
    found = [source for source in (*blocks, text[:LONGEST]) if DEFINES.search(source)]
    if not found:
        return None
    return next((block for block in reversed(blocks) if DEFINES.search(block)), found[-1])


def balanced_accuracy(source: str, actives: Sequence[str], decoys: Sequence[str]) -> float:
    """Mean of the share of actives found True and the share of decoys found False."""
    labelled = [(molecule, True) for molecule in actives]
    labelled += [(molecule, False) for molecule in decoys]
    random.Random(len(labelled)).shuffle(labelled)
    verdicts = _verdicts(source, [molecule for molecule, _ in labelled])
    if verdicts is None:
        return 0.0
    right = {True: 0, False: 0}
    for verdict, (_, label) in zip(verdicts, labelled, strict=True):
        right[label] += verdict is label
    return 0.5 * right[True] / len(actives) + 0.5 * right[False] / len(decoys)


def _verdicts(source: str, molecules: list[str]) -> list[bool | None] | None:
    """What the function says of each molecule; None where the program does not come to its end."""
    program = Program((source, JUDGE), f"_verdicts({FUNCTION}, {molecules!r})", LIMITS)
    result = run_programs([program])[0]
    fits = isinstance(result.value, list) and len(result.value) == len(molecules)
    return result.value if fits else None
