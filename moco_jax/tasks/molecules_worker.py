"""Runs in a process of its own: which texts are molecules, and which meet the constraints.

One JSON list per line in, one JSON value per line out: `["find", texts]` gives the first text that
spells a molecule of three atoms or more, `["canonical", smiles]` RDKit's one spelling of it,
`["meets", smiles, reference]` whether it satisfies the hard constraints of lead optimisation. Every
answer is a list of one value. It imports nothing of the library.
"""

import functools
import json
import resource
import sys
from collections.abc import Callable
from typing import Any

from rdkit import Chem, DataStructs, rdBase
from rdkit.Chem import Descriptors, FilterCatalog, rdFingerprintGenerator
from rdkit.Contrib.SA_Score import sascorer

MEMORY = 4 << 30  # bytes of address space
FEWEST_ATOMS = 3  # "I" and "CO" in a sentence are words
SIMILARITY = 0.7
HEAVIEST, LARGEST_TPSA, HARDEST = 600.0, 140.0, 4.5


def parse_smiles(text: str) -> Any | None:
    """The molecule that a text spells, sanitised; None where it spells none."""
    molecule = Chem.MolFromSmiles(text)
    return molecule if molecule is not None and molecule.GetNumAtoms() else None


def find(texts: list[str]) -> str | None:
    """The first text that spells a molecule of three atoms or more."""
    for text in texts:
        molecule = parse_smiles(text)
        if molecule is not None and molecule.GetNumAtoms() >= FEWEST_ATOMS:
            return text
    return None


def canonical_smiles(text: str) -> str | None:
    """RDKit's one spelling of a molecule."""
    molecule = parse_smiles(text)
    return None if molecule is None else Chem.MolToSmiles(molecule)


def meets(smiles: str, reference: str) -> bool:
    """Whether a molecule is another than the reference, similar to it, and druglike."""
    molecule, known = parse_smiles(smiles), parse_smiles(reference)
    if molecule is None or known is None or canonical_smiles(smiles) == canonical_smiles(reference):
        return False
    return (
        is_one_stable_molecule(molecule)
        and has_druglike_properties(molecule)
        and not has_alerts(molecule)
        and similarity(molecule, known) >= SIMILARITY
    )


def is_one_stable_molecule(molecule: Any) -> bool:
    """One fragment without radicals."""
    fragments = Chem.GetMolFrags(molecule)
    return len(fragments) == 1 and not any(
        atom.GetNumRadicalElectrons() for atom in molecule.GetAtoms()
    )


def has_druglike_properties(molecule: Any) -> bool:
    """Weight, lipophilicity, polarity, hydrogen bonds, flexibility, charge, ease of synthesis."""
    has: Any = Descriptors  # its functions are made when it is imported, unseen by type checkers
    return (
        has.MolWt(molecule) < HEAVIEST
        and -1.0 <= has.MolLogP(molecule) <= 5.0
        and has.TPSA(molecule) < LARGEST_TPSA
        and has.NumHDonors(molecule) <= 5
        and has.NumHAcceptors(molecule) <= 10
        and has.NumRotatableBonds(molecule) <= 10
        and abs(Chem.GetFormalCharge(molecule)) <= 2
        and sascorer.calculateScore(molecule) < HARDEST
    )


def has_alerts(molecule: Any) -> bool:
    """Whether a PAINS or a Brenk pattern matches."""
    return _alerts().HasMatch(molecule)


@functools.cache
def _alerts() -> Any:
    settings = FilterCatalog.FilterCatalogParams()
    settings.AddCatalog(FilterCatalog.FilterCatalogParams.FilterCatalogs.PAINS)
    settings.AddCatalog(FilterCatalog.FilterCatalogParams.FilterCatalogs.BRENK)
    return FilterCatalog.FilterCatalog(settings)


def similarity(one: Any, other: Any) -> float:
    """Tanimoto similarity of Morgan fingerprints (radius 2, 2048 bits)."""
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    prints = [generator.GetFingerprint(molecule) for molecule in (one, other)]
    return DataStructs.TanimotoSimilarity(*prints)


def main() -> None:
    """Answers until the input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    rdBase.DisableLog("rdApp.*")
    actions: dict[str, Callable[..., Any]] = {
        "find": find,
        "canonical": canonical_smiles,
        "meets": meets,
    }
    print("true", flush=True)  # ready
    for line in sys.stdin:
        action, *arguments = json.loads(line)
        try:
            answer = [actions[action](*arguments)]
        except Exception:  # whatever RDKit stumbles over is no usable molecule
            answer = [None]
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
