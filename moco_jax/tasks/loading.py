"""From a name or a path to a `Task`: finding the file, checking its rows, rendering prompts."""

import difflib
import hashlib
import json
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from absl import logging

from moco_jax.tasks import hub
from moco_jax.tasks.datasets import HOW_TO_GET, datasets
from moco_jax.tasks.golds import unreadable
from moco_jax.tasks.items import Gold, Item, Split, numbered
from moco_jax.tasks.scorers import scorer_for
from moco_jax.tasks.surrogates import refuse_halves
from moco_jax.tasks.task import Task
from moco_jax.tasks.templates import TEMPLATES, check_template, option_lines, render

PACKAGED = pathlib.Path(__file__).parent.parent / "tiny" / "tasks"
SPLITS = (
    "Methods learn from dev and are scored on test; of a file with test rows only, move some to "
    "dev (20 or more), even for methods that look at none"
)
SHOWN = 120  # characters of a gold in a warning
SUFFIXES = (".json", ".jsonl")


def load_task(
    name_or_path: str | pathlib.Path,
    *,
    data_dir: str | pathlib.Path | None = None,
    ratio: float = 1.0,
    prompt_template: str | None = None,
    kind: str | None = None,
    allow_weak_sandbox: bool = False,
) -> Task:
    """Loads a task.

    A file is one JSON object `{"task_type", "dev": [rows], "test": [rows]}`, or JSON lines that
    each name their `split`. Multiple-choice rows are `{question, choices: {key: text}, answer:
    key}`, the others `{input, output}`; `question_id` names the group a row is scored with.

    Args:
        name_or_path: a packaged task (`tiny_mix`, `tiny_choice`), a path to a `.json` or `.jsonl`
            file, the bare name of a file in `data_dir`, or `hub:owner/name?...`, see `tasks.hub`.
        data_dir: folder of `<name>.json` files.
        ratio: share of both splits to keep, from the front: `int(n * ratio)`, at least one item.
        prompt_template: format string with `{question}` and `{choices}` that replaces the kind's.
        kind: how to score, where the file's own `task_type` is missing or not wanted.
        allow_weak_sandbox: run programs that models wrote even where the system gives no
            namespaces; docs/sandbox.md says what is lost.

    Raises:
        ValueError: the task is unknown, its kind cannot be scored, a row breaks the format (the
            message names file, row and field), or an argument is out of range.
    """
    if not 0.0 < ratio <= 1.0:
        raise ValueError(f"ratio is the share of items to keep, above 0 and up to 1, not {ratio}")
    place, name, data, content_hash = read_task(name_or_path, data_dir)
    kind = kind or data.get("task_type")
    if not isinstance(kind, str):
        raise ValueError(
            f"{place} names no 'task_type', which says how it is scored; add one, such as "
            "exact_match, or name it with --kind=exact_match (kind= in Python)"
        )
    scorer_for(kind)
    template = TEMPLATES[kind] if prompt_template is None else prompt_template
    refuse_halves(template, "prompt_template")
    check_template(template)
    dev, dev_left_out = _read_split(place, data, "dev", kind, template)
    test, test_left_out = _read_split(place, data, "test", kind, template)
    _warn_of_golds(place, {"dev": dev, "test": test})
    identity = json.dumps([content_hash, kind, ratio, template])
    return Task(
        name=name,
        kind=kind,
        dev=_front(dev, ratio),
        test=_front(test, ratio),
        source=place,
        fingerprint=hashlib.sha256(identity.encode()).hexdigest(),
        left_out={"dev": dev_left_out, "test": test_left_out},
        allow_weak_sandbox=allow_weak_sandbox,
    )


class TaskFile(NamedTuple):
    """A task as read, before its rows are checked.

    Attributes:
        place: path of the file, or its name on the hub.
        name: what the task is called.
        data: `{"task_type", "dev": [rows], "test": [rows]}`.
        content_hash: sha256 (hex) of the content.
    """

    place: str
    name: str
    data: dict[str, Any]
    content_hash: str


def read_task(
    name_or_path: str | pathlib.Path, data_dir: str | pathlib.Path | None = None
) -> TaskFile:
    """Reads the file, or the hub's dataset, that a task's name means; see `load_task`."""
    if hub.is_hub(str(name_or_path)):
        place = str(name_or_path)
        data, content_hash = hub.read(place)
        return TaskFile(place, hub.parse(place).name, data, content_hash)
    path = find_task(name_or_path, data_dir)
    content = path.read_bytes()
    return TaskFile(
        str(path), path.stem, parse_file(path, content), hashlib.sha256(content).hexdigest()
    )


def find_task(
    name_or_path: str | pathlib.Path, data_dir: str | pathlib.Path | None = None
) -> pathlib.Path:
    """The file a task name or path means; a ValueError offers the nearest names."""
    path = pathlib.Path(name_or_path)
    if path.suffix in SUFFIXES:
        if path.is_file():
            return path
        raise ValueError(f"there is no task file {path}; check the path")
    folders = [PACKAGED] if data_dir is None else [PACKAGED, pathlib.Path(data_dir)]
    known = {file.stem: file for folder in reversed(folders) for file in task_files(folder)}
    if str(name_or_path) in known:
        return known[str(name_or_path)]
    if path.is_file():
        raise ValueError(
            f"task file {path} must end in .json or .jsonl; CSV and parquet are read from the "
            f"folder they are in, as hub:{path.resolve().parent}?..."
        )
    raise ValueError(_unknown(str(name_or_path), sorted(known), data_dir))


def task_files(folder: pathlib.Path) -> list[pathlib.Path]:
    """The files in a folder that may be tasks, by name."""
    return sorted(file for file in folder.glob("*") if file.suffix in SUFFIXES)


def _unknown(name: str, known: list[str], data_dir: str | pathlib.Path | None) -> str:
    if name in datasets():
        return f"task {_not_here(name, data_dir)}"
    lower = {each.casefold(): each for each in [*datasets(), *known]}
    nearest = [lower[each] for each in difflib.get_close_matches(name.casefold(), lower)]
    if not nearest:
        offer = f"known are {', '.join(known)}, and what moco list tasks shows."
    elif nearest[0] in known:
        offer = f"did you mean {' or '.join(nearest)}?"
    else:
        offer = f"did you mean {' or '.join(nearest)}? {_not_here(nearest[0], data_dir)}"
    if data_dir is None:
        remedy = (
            "A task of your own is named by its file, such as --task=my/task.json, or by its name "
            "in a folder: --data_dir=my (data_dir= in Python)."
        )
    else:
        remedy = f"The folder {data_dir} of --data_dir holds no {name}.json; a path works as well."
    return f"unknown task {name!r}: {offer} {remedy}"


def _not_here(name: str, data_dir: str | pathlib.Path | None) -> str:
    """Where to get a dataset that is known and not at hand."""
    dataset = datasets()[name]
    where = "no --data_dir was given" if data_dir is None else f"{data_dir} does not hold it"
    from_hub = hub.is_hub(dataset.source)
    how = f"Pass --task={dataset.source}, see docs/tasks.md." if from_hub else HOW_TO_GET
    return (
        f"{name!r} ({dataset.what}) is known but not here: {where}. "
        f"Its source is {dataset.source}. {how}"
    )


def parse_file(path: pathlib.Path, content: bytes) -> dict[str, Any]:
    """A task file as `{"task_type", "dev", "test"}`, whichever of the two formats it has."""
    try:
        if path.suffix == ".jsonl":
            return _from_lines(path, content.decode())
        data = json.loads(content)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not valid JSON in UTF-8: {error}") from error
    if not isinstance(data, dict):
        raise ValueError(
            f"{path} must hold one JSON object with task_type, dev and test, not a "
            f"{type(data).__name__}; rows without that go into a .jsonl file, one to a line"
        )
    return data


def _from_lines(path: pathlib.Path, text: str) -> dict[str, Any]:
    data: dict[str, Any] = {"dev": [], "test": []}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"{path} line {number} is not valid JSON: {error}") from error
        split = row.get("split") if isinstance(row, dict) else None
        if split not in ("dev", "test"):
            raise ValueError(f'{path} line {number}: field \'split\' must be "dev" or "test"')
        data[split].append(row)
        if "task_type" in row:
            data.setdefault("task_type", row["task_type"])
    return data


def _read_split(
    path: str, data: Mapping[str, Any], split: str, kind: str, template: str
) -> tuple[Split, int]:
    """The scoreable rows of a split, and how many rows were left out."""
    rows = data.get(split)
    if not isinstance(rows, list):
        raise ValueError(
            f"{path} has no list {split!r}; a task holds both 'dev' and 'test' rows. {SPLITS}"
        )
    pairs: list[tuple[Item, Gold]] = []
    for index, row in enumerate(rows):
        try:
            pair = _read_row(row, f"{split}/{index}", kind, template)
        except ValueError as error:
            raise ValueError(f"{path}: {split} row {index}, read as {kind}: {error}") from error
        if pair is not None:
            pairs.append(pair)
    if not pairs:
        raise ValueError(f"{path}: split {split!r} holds no row that can be scored. {SPLITS}")
    items, golds = zip(*pairs, strict=True)
    return Split(tuple(numbered(items)), golds), len(rows) - len(pairs)


def _warn_of_golds(place: str, splits: Mapping[str, Split]) -> None:
    """Says once how many golds no output could be right against, with one of them."""
    bad = [
        (item.id.replace("/", " row "), gold.answers[0])
        for split in splits.values()
        for item, gold in _unreadable(split)
    ]
    if bad:
        row, text = bad[0]
        logging.warning(
            "%s: %d of %d golds are no answers that an output could be read to give, so that "
            "whoever is right scores 0; the first is %s: %r. Put the bare answer there, or let "
            "the text end in a line such as '#### 72'",
            place,
            len(bad),
            sum(map(len, splits.values())),
            row,
            text if len(text) <= SHOWN else f"{text[:SHOWN]}...",
        )


def _unreadable(split: Split) -> list[tuple[Item, Gold]]:
    return [(split.items[at], split.golds[at]) for at in unreadable(split.items, split.golds)]


def _read_row(row: object, item_id: str, kind: str, template: str) -> tuple[Item, Gold] | None:
    if not isinstance(row, dict):
        raise ValueError(f"the row must be an object, not {type(row).__name__}")
    for name, value in row.items():
        refuse_halves(value, f"field {name!r}")
    content = scorer_for(kind).read(row)
    if content.gold is None:
        return None
    options = option_lines(content.choices)
    group = row.get("question_id")
    item = Item(
        id=item_id,
        prompt=render(template, content.question, content.choices),
        question=f"{content.question}\n{options}" if options else content.question,
        choices=content.choices,
        kind=kind,
        group=None if group is None else str(group),
    )
    return item, content.gold


def _front(split: Split, ratio: float) -> Split:
    count = max(1, int(len(split) * ratio))
    return Split(split.items[:count], split.golds[:count])
