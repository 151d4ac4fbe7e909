"""Lead optimisation and pharmacophores: reading answers, the constraints, running functions."""

import pytest

from moco_jax.tasks import SCORERS, Item, score_items
from moco_jax.tasks.pharmacophore import code
from moco_jax.tasks.sandbox import require_sandbox

SCORER = SCORERS["smdd"]
REFERENCE = "COc1ccc(CCN2CCC(C(=O)Nc3ccccc3)CC2)cc1"
REORDERED = "c1ccccc1NC(=O)C1CCN(CCc2ccc(OC)cc2)CC1"
SIMILAR = "COc1ccc(CCN2CCC(C(=O)Nc3ccc(F)cc3)CC2)cc1"
LEAD = {"subtype": "lead_opt", "input": "Improve it.", "reference_smiles": REFERENCE}
PHARMACOPHORE = {
    "subtype": "pharmacophore",
    "train_actives": ["CCO"],
    "train_decoys": ["CCC"],
    "hidden_actives": ["CCCO", "OCCO", "CCN"],
    "hidden_decoys": ["CCCC"],
}


def score(row, *outputs):
    content = SCORER.read(row)
    item = Item(id="dev/0", prompt="q", question=content.question, kind="smdd")
    return score_items([item] * len(outputs), [content.gold] * len(outputs), outputs)


def test_molecules_in_common_formats():
    pytest.importorskip("rdkit")
    item = Item(id="dev/0", prompt="q", question="Improve it.", kind="smdd")
    wrapped = ("{}", "`{}`", "```\n{}\n```", "The molecule is {}.", "First.\n\n{}\n\nIt is good.")
    for text in (*wrapped, "SMILES: {}", "CCCCO\nBetter:\n{}", "I take `{}` as asked."):
        assert SCORER.extract(item, text.format(SIMILAR)) == SIMILAR
    for text in ("", "I cannot do this", "C" * 10_000, "c1ccccc"):
        assert SCORER.extract(item, text) is None


def test_a_molecule_is_held_against_the_hard_constraints():
    pytest.importorskip("rdkit")
    near, same, far, salt = score(LEAD, SIMILAR, REORDERED, "CCO", f"{SIMILAR}.Cl")
    assert near.value == 1.0
    assert [same.value, far.value, salt.value] == [0.0, 0.0, 0.0]


def test_rows_name_what_is_wrong():
    for row, name in (
        ({**LEAD, "subtype": "x"}, "subtype"),
        ({"subtype": "lead_opt"}, "reference"),
    ):
        with pytest.raises(ValueError, match=name):
            SCORER.read(row)
    with pytest.raises(ValueError, match="hidden_decoys"):
        SCORER.read({**PHARMACOPHORE, "hidden_decoys": []})


def test_hidden_molecules_are_not_in_the_question():
    question = SCORER.read(PHARMACOPHORE).question
    assert "CCO" in question and "OCCO" not in question


def test_the_code_is_the_last_block_that_defines_the_function():
    first, last = (f"def check_pharmacophore(s):\n    return {n}\n" for n in (1, 2))
    assert code(f"```\n{first}```\n```python\n{last}```\n```\nx\n```") == last
    assert code(first) == first
    assert code("def other(s): pass") is None


def test_functions_are_judged_by_balanced_accuracy():
    pytest.importorskip("rdkit")
    try:
        require_sandbox()
    except ValueError as error:
        pytest.skip(str(error))
    function = "def check_pharmacophore(smiles):\n    return {}"
    outputs = [function.format(body) for body in ("True", "'O' in smiles", "smiles in actives")]
    outputs += ["print(1)\nimport sys\nsys.exit(0)\ndef check_pharmacophore(s): return True", "no"]
    outputs += ["from rdkit import Chem\n" + function.format("Chem.MolFromSmiles(smiles) is None")]
    values = [found.value for found in score(PHARMACOPHORE, *outputs)]
    assert values == pytest.approx([0.5, (2 / 3 + 1) / 2, 0.0, 0.0, 0.0, 0.5])
