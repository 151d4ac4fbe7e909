"""Compares the answers of finished runs with the digests that are kept of them.

    python experiments/check_golden.py --part=demo --results=results/demo
    python experiments/check_golden.py --part=comparison --results=results/comparison --write

A digest is the sha256 of every (item, response, reasoning, finish, score) of one run. So a change
to the library that should leave answers alone is seen to do so, or to change which runs.
"""

import hashlib
import json
import pathlib
from collections.abc import Sequence

from absl import app, flags

from moco_jax.analysis.load import LoadedRun, load_runs

KEPT = ("id", "response", "reasoning", "finish", "score")

_RESULTS = flags.DEFINE_string(
    "results", None, "Folder of runs, or of such folders.", required=True
)
_PART = flags.DEFINE_string("part", None, "What the runs are a part of.", required=True)
_GOLDEN = flags.DEFINE_string("golden", "tests/golden/answers.json", "The digests.")
_WRITE = flags.DEFINE_bool("write", False, "Write the digests instead of comparing them.")


def name_of(run: LoadedRun) -> str:
    """The pool, method, task and seed of a run."""
    config = run.record["config"]
    pool = "+".join(
        model if isinstance(model, str) else json.dumps(model, sort_keys=True)
        for model in config["models"]
    )
    return f"{pool} {run.result.method} {run.result.task} {run.seed}"


def digest_of(run: LoadedRun) -> str:
    """sha256 (hex) of what the run answered, by item."""
    total = hashlib.sha256()
    for row in sorted(run.answers, key=lambda row: row["id"]):
        total.update(json.dumps([row[field] for field in KEPT]).encode() + b"\n")
    return total.hexdigest()


def digests(folder: pathlib.Path) -> dict[str, str]:
    """Digest by name of all runs in a folder, or in the folders there.

    Raises:
        ValueError: two runs have one name.
    """
    runs: list[LoadedRun] = []
    for place in (folder, *sorted(path for path in folder.iterdir() if path.is_dir())):
        try:
            runs += load_runs(place) if not (place / "result.json").exists() else []
        except FileNotFoundError:
            continue
    found: dict[str, str] = {}
    for run in runs:
        name, digest = name_of(run), digest_of(run)
        if found.setdefault(name, digest) != digest:
            raise ValueError(f"{folder} holds two runs of {name}; remove one of them")
    return dict(sorted(found.items()))


def differences(kept: dict[str, str], found: dict[str, str]) -> list[str]:
    """A line for every run that is missing, new, or answered otherwise."""
    return [
        *(f"missing: {name}" for name in kept if name not in found),
        *(f"not kept: {name}" for name in found if name not in kept),
        *(
            f"answers otherwise: {name}"
            for name in kept
            if found.get(name, kept[name]) != kept[name]
        ),
    ]


def main(_: Sequence[str]) -> None:
    path = pathlib.Path(_GOLDEN.value)
    golden = json.loads(path.read_text()) if path.exists() else {}
    found = digests(pathlib.Path(_RESULTS.value))
    if _WRITE.value:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(golden | {_PART.value: found}, indent=1, sort_keys=True) + "\n")
        print(f"{path}: {len(found)} digests of {_PART.value}")
        return
    wrong = differences(golden.get(_PART.value, {}), found)
    print("\n".join(wrong) or f"{len(found)} runs of {_PART.value} answer as they did")
    if wrong:
        raise SystemExit(1)


if __name__ == "__main__":
    app.run(main)
