"""A run as the reference logs it, for tools written for its files."""

import pathlib
from typing import Any

from moco_jax.runs import directory as files

LEVELS = ("api_", "text_", "logit_", "weight_")
WHOLE = ("api_cascade", "text_structure", "text_sparta", "text_sparta_stackelberg")
"""Methods whose log names keep the level."""


def write_reference_log(
    run_dir: str | pathlib.Path, folder: str | pathlib.Path, suffix: str | None = None
) -> pathlib.Path:
    """Writes `{task}_{members}_{score}_{suffix}.json` of a finished run into `folder`.

    Args:
        run_dir: the run directory.
        folder: where to; it is made if it is missing.
        suffix: how the name ends; None takes the reference's own for the method.

    Returns:
        Path of the file.

    Raises:
        FileNotFoundError: it is no run, or the run did not finish.
    """
    place = pathlib.Path(run_dir)
    record = files.read_json(place / files.CONFIG)
    result = files.read_json(place / files.RESULT)
    rows = files.read_lines(place / files.RESPONSES)
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    method, members = record["method"]["name"], record["members"]
    count: int | str = len(members)
    if method == "single_model":
        count = pathlib.PurePath(members[0]["name"]).name.replace(":", "_")
    end = suffix or method_suffix(method)
    ledger = files.read_json(place / files.LEDGER)
    path = folder / f"{result['task']}_{count}_{round(result['score'], 4)}_{end}.json"
    files.write_json(path, _log(record, result, rows, ledger))
    return path


def method_suffix(method: str) -> str:
    """How the reference ends the name of a method's log."""
    if method in WHOLE:
        return method
    for level in LEVELS:
        if method.startswith(level):
            return method.removeprefix(level)
    return method


def _log(
    record: dict[str, Any],
    result: dict[str, Any],
    rows: list[dict[str, Any]],
    ledger: dict[str, Any],
) -> dict[str, Any]:
    config = record["config"]
    sampling = dict(config["sampling"])
    settings = {
        "max_response_length": sampling.pop("max_new_tokens"),
        **sampling,
        "batch_size": config["batch_size"],
        "ratio": config["ratio"],
        **record["method"]["hyperparameters"],
    }
    return {
        "task": result["task"],
        "task_type": record["task"]["kind"],
        "method": record["method"]["name"],
        "model_names": [member["name"] for member in record["members"]],
        "hyperparameters": settings,
        "avg_test_score": result["score"],
        "logs": [
            {"input": row["prompt"], "output": row["response"], "score": row["score"]}
            for row in rows
        ],
        "seed": config["seed"],
        "versions": record["versions"],
        "wall_seconds": ledger["wall_seconds"],
        "dev_scores": {member["name"]: member["dev"] for member in result["members"]},
        "tokens": {
            name: result["cost"]["attributed"][name] for name in ("prompt_tokens", "new_tokens")
        },
    }
