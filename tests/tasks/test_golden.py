"""The reference's golden outputs: every target met, whether the reference met it or not.

A row whose dataset row has no gold is left out by the loader, and is none of ours to score.
"""

import json

import pytest

from moco_jax.tasks import load_task

FILES = (
    "scores_multiple_choice",
    "scores_multiple_choice_112",
    "scores_exact_match",
    "scores_exact_match_112",
    "scores_f1_match",
)


def batches(path):
    """Rows that are scored in one call: alone, or with the rest of their group's batch."""
    found = {}
    for number, line in enumerate(path.open(encoding="utf-8")):
        row = json.loads(line)
        key = (row["task"], row["split"], row.get("batch", -1 - number))
        found.setdefault(key, []).append(row)
    return found.items()


def judged(shared_dir, name):
    """(row, value) of every row with a target whose item can be scored."""
    tasks = {}
    for (task_name, split, _), rows in batches(shared_dir / "golden" / f"{name}.jsonl"):
        if task_name not in tasks:
            tasks[task_name] = load_task(task_name, data_dir=shared_dir / "data")
        task = tasks[task_name]
        places = {item.id: place for place, item in enumerate(task.items(split))}
        rows = [row for row in rows if f"{split}/{row['index']}" in places]
        indices = [places[f"{split}/{row['index']}"] for row in rows]
        scores = task.score(split, [row["output"] for row in rows], indices)
        for row, score in zip(rows, scores, strict=True):
            if row["target"] is not None:
                yield row, score.value


@pytest.mark.parametrize("name", FILES)
def test_targets_are_met(shared_dir, name):
    seen = list(judged(shared_dir, name))
    assert len(seen) > 200
    off = [
        (row["task"], row["kind"], row["output"][-200:])
        for row, value in seen
        if abs(value - row["target"]) > 1e-6
    ]
    assert not off, f"{len(off)} of {len(seen)} rows off, first {off[:5]}"
