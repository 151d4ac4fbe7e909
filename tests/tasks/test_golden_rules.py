"""Golden outputs of the kinds beside choice, exact and F1 match: every target met."""

import json

import pytest

from moco_jax.tasks import SCORERS, Item, load_task, score_items
from moco_jax.tasks.sandbox import require_sandbox
from moco_jax.tasks.scorers.kernel_bench import Measurement, speed_score

AWAY = {"smdd": "rdkit"}


def rows(shared_dir, name):
    path = shared_dir / "golden" / f"{name}.jsonl"
    return [json.loads(line) for line in path.open(encoding="utf-8")]


def check(seen):
    """Every value equals its target, or one of those accepted where the matter is open."""
    off = []
    for row, value in seen:
        accepted = row.get("accept", []) if row["target"] is None else [row["target"]]
        if not any(abs(value - target) <= 1e-6 for target in accepted):
            off.append((row["kind"], accepted, value, row.get("output", "")[-200:]))
    assert not off, f"{len(off)} of {len(seen)} rows off, first {off[:5]}"


@pytest.mark.parametrize("name", ["ifeval", "noncompliance", "smdd"])
def test_targets_of_rows_with_a_dataset(shared_dir, name):
    if name in AWAY:
        pytest.importorskip(AWAY[name])
        require_sandbox()
    found = rows(shared_dir, f"scores_{name}")
    task = load_task(found[0]["task"], data_dir=shared_dir / "data")
    seen = []
    for split in ("dev", "test"):
        chosen = [row for row in found if row["split"] == split]
        outputs, places = ([row[name] for row in chosen] for name in ("output", "index"))
        scores = task.score(split, outputs, places)
        seen += [(row, score.value) for row, score in zip(chosen, scores, strict=True)]
    assert len(seen) == len(found)
    check(seen)


def test_targets_of_the_categories_of_noncompliance(shared_dir):
    item = Item(id="dev/0", prompt="q", question="q", kind="noncompliance")
    read = SCORERS["noncompliance"].read
    found = rows(shared_dir, "noncompliance_categories")
    golds = [read({"input": "q", "category": row["category"]}).gold for row in found]
    scores = score_items([item] * len(found), golds, [row["output"] for row in found])
    check([(row, score.value) for row, score in zip(found, scores, strict=True)])


def test_targets_of_gene_ranking(shared_dir):
    item = Item(id="dev/0", prompt="q", question="q", kind="gene_ranking")
    read = SCORERS["gene_ranking"].read
    found = rows(shared_dir, "scores_gene_ranking")
    golds = [read({"input": "q", **row["item"]}).gold for row in found]
    scores = score_items([item] * len(found), golds, [row["output"] for row in found])
    check([(row, score.value) for row, score in zip(found, scores, strict=True)])


def test_targets_of_kernel_measurements(shared_dir):
    names = ("compiled", "correct", "runtime_ms", "ref_runtime_ms")
    check(
        [
            (row, speed_score(row["level"], Measurement(*(row[name] for name in names))))
            for row in rows(shared_dir, "scores_kernel_bench")
        ]
    )
