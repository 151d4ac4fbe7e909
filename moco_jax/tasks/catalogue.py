"""The tasks there are: packaged, in a data folder, or known by name and not present."""

import pathlib
from dataclasses import dataclass

from moco_jax.tasks.datasets import datasets
from moco_jax.tasks.loading import PACKAGED, parse_file, task_files


@dataclass(frozen=True)
class TaskInfo:
    """One line of a task list.

    Attributes:
        name: what `load_task` takes.
        kind: how it is scored; `SCORERS` says which kinds can be.
        dev: rows of the dev split, as the file has them.
        test: rows of the test split, as the file has them.
        present: whether its file was found.
        paper: arXiv id, "" where none is known.
        licence: of the data, "" for tasks of the project and the user.
        source: where to get it, "" where it is present and not in the catalogue.
    """

    name: str
    kind: str
    dev: int
    test: int
    present: bool
    paper: str = ""
    licence: str = ""
    source: str = ""


def list_tasks(data_dir: str | pathlib.Path | None = None) -> list[TaskInfo]:
    """Every packaged, found or known task, by name; what is found is read from its file."""
    tasks = {
        known.name: _describe(known.name, known.kind, known.dev, known.test, present=False)
        for known in datasets().values()
    }
    folders = [PACKAGED] if data_dir is None else [pathlib.Path(data_dir), PACKAGED]
    for folder in folders:
        for path in task_files(folder):
            info = _inspect(path)
            if info is not None:
                tasks[info.name] = info
    return [tasks[name] for name in sorted(tasks)]


def _inspect(path: pathlib.Path) -> TaskInfo | None:
    """What a file says of itself; None where it is no task."""
    try:
        data = parse_file(path, path.read_bytes())
    except ValueError:
        return None
    dev, test = data.get("dev"), data.get("test")
    if not isinstance(dev, list) or not isinstance(test, list):
        return None
    known = datasets().get(path.stem)
    kind = data.get("task_type") or (known.kind if known else "unknown")
    return _describe(path.stem, str(kind), len(dev), len(test), present=True)


def _describe(name: str, kind: str, dev: int, test: int, present: bool) -> TaskInfo:
    known = datasets().get(name)
    if known is None:
        return TaskInfo(name, kind, dev, test, present)
    return TaskInfo(name, kind, dev, test, present, known.paper, known.licence, known.source)
