"""Tasks from the Hugging Face hub, or from any folder that its `datasets` library reads.

`hub:owner/name?config=main&dev=train[:200]&test=test&kind=exact_match&input=question&output=answer`
reads a dataset's splits and renames its columns: after the question mark stand the configuration,
which splits (or slices of them) are dev and test, the kind, and field=column pairs.
"""

import contextlib
import hashlib
import json
import pathlib
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from moco_jax.tasks.templates import LETTERS

PREFIX = "hub:"
OWN = ("config", "dev", "test", "kind")


@dataclass(frozen=True)
class Spec:
    """A hub task's name, taken apart.

    Attributes:
        path: owner/name, or a folder.
        config: of a dataset that has several.
        splits: what dev and test are called there, or slices such as `train[:200]`.
        kind: how to score, None where the dataset says.
        columns: column by field, where they have other names.
    """

    path: str
    config: str | None
    splits: Mapping[str, str]
    kind: str | None
    columns: Mapping[str, str]

    @property
    def name(self) -> str:
        """What the task is called."""
        return pathlib.PurePath(self.path).name


def is_hub(name: str) -> bool:
    """Whether a task's name means the hub."""
    return name.startswith(PREFIX)


def parse(name: str) -> Spec:
    """Takes a task's name apart.

    Raises:
        ValueError: it names no dataset, or something without a value.
    """
    path, _, query = name.removeprefix(PREFIX).partition("?")
    try:
        given = dict(urllib.parse.parse_qsl(query, strict_parsing=bool(query)))
    except ValueError as error:
        raise ValueError(
            f"{name!r}: after ? stand name=value pairs joined by & ({error})"
        ) from error
    if not path.strip("/"):
        raise ValueError(f"{name!r} names no dataset; write hub:owner/name or hub:/a/folder")
    return Spec(
        path=path,
        config=given.get("config"),
        splits={split: given.get(split, split) for split in ("dev", "test")},
        kind=given.get("kind"),
        columns={field: column for field, column in given.items() if field not in OWN},
    )


def read(name: str) -> tuple[dict[str, Any], str]:
    """A hub task as `{"task_type", "dev", "test"}` and the sha256 (hex) of its rows.

    No code of the dataset's repository is ever run.

    Raises:
        ValueError: the dataset, a split or a column is not there; the message lists those that are.
    """
    spec = parse(name)
    whole = _whole_task(spec)
    data = whole or {split: _rows(name, spec, split) for split in ("dev", "test")}
    if spec.kind:
        data["task_type"] = spec.kind
    content = json.dumps(data, sort_keys=True, default=str, ensure_ascii=False)
    return data, hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()


def _load(spec: Spec, split: str) -> Any:
    import datasets

    try:
        with _no_waiting(spec):
            return datasets.load_dataset(spec.path, spec.config, split=split)
    except (ConnectionError, datasets.exceptions.DatasetNotFoundError) as error:
        raise ValueError(
            f"the dataset {spec.path!r} could not be found on the hub, nor in this machine's cache "
            f"({type(error).__name__}). Check the name and the network (gated datasets need "
            "`hf auth login`); or download it and name its folder, as hub:/the/folder?..."
        ) from error
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise ValueError(
            f"split {split!r} of the dataset {spec.path!r} cannot be loaded "
            f"({type(error).__name__}: {error}). It has {_splits(spec)}. Name what to take for "
            f"dev and test, such as {PREFIX}{spec.path}?dev=train[:200]&test=train[200:]"
        ) from error


@contextlib.contextmanager
def _no_waiting(spec: Spec) -> Iterator[None]:
    """Without the hub's retries (25 seconds and 11 lines a file) where it cannot be reached.

    What was downloaded before is then read from the cache, at once.
    """
    import datasets
    from huggingface_hub import constants

    if pathlib.Path(spec.path).exists() or constants.HF_HUB_OFFLINE or _reachable():
        yield
        return
    before = datasets.config.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = False, before


def _reachable() -> bool:
    """Whether the hub answers one request."""
    import huggingface_hub

    try:
        huggingface_hub.get_session().head(huggingface_hub.constants.ENDPOINT, timeout=10)
    except Exception:  # whichever HTTP library the hub's client stands on
        return False
    return True


def _splits(spec: Spec) -> str:
    import datasets

    try:
        found = datasets.get_dataset_split_names(spec.path, spec.config)
    except (OSError, ValueError, datasets.exceptions.DatasetsError):
        return "no splits that can be listed; check the name, the configuration and the network"
    return f"the splits {', '.join(found)}"


def _whole_task(spec: Spec) -> dict[str, Any] | None:
    """A dataset whose one row is a whole task file, as the reference keeps them on the hub."""
    if spec.splits != {"dev": "dev", "test": "test"} or spec.columns:
        return None
    try:
        found = _load(spec, "train")
    except ValueError:
        return None
    if len(found) != 1 or not {"dev", "test"} <= set(found.column_names):
        return None
    return dict(found[0])


def _rows(name: str, spec: Spec, split: str) -> list[dict[str, Any]]:
    found = _load(spec, spec.splits[split])
    for field, column in spec.columns.items():
        if column not in found.column_names:
            raise ValueError(
                f"{name}: field {field!r} should come from column {column!r}, which {split} does "
                f"not have; its columns are {', '.join(found.column_names)}"
            )
    return [_fields(row, spec.columns) for row in found]


def _fields(row: Mapping[str, Any], columns: Mapping[str, str]) -> dict[str, Any]:
    """A row under our fields, with options as an object of lettered texts."""
    fields = {**row, **{field: row[column] for field, column in columns.items()}}
    choices = fields.get("choices")
    if isinstance(choices, dict) and {"text", "label"} == set(choices):
        fields["choices"] = dict(zip(choices["label"], choices["text"], strict=True))
    elif isinstance(choices, list):
        fields["choices"] = dict(zip(LETTERS, choices, strict=False))
        answer = fields.get("answer")
        if isinstance(answer, int) and 0 <= answer < len(choices):
            fields["answer"] = LETTERS[answer]
    return fields
