"""`moco cache`: the store of finished answers."""

import pathlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from absl import flags

from moco_jax.cli.commands import Command, Parsed

if TYPE_CHECKING:
    from moco_jax.runs.store import SqliteStore


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("out", "runs", "folder of the runs (default runs)", flag_values=values)
    flags.DEFINE_boolean("yes", False, "clear without asking", flag_values=values)


def _size(store: "SqliteStore", parsed: Parsed) -> int:
    held = store.size()
    on_disk = store.path.stat().st_size
    print(
        f"{store.path}: {held.records} answers, {held.bytes // 1000:,} kB "
        f"({on_disk // 1000:,} kB on disk)"
    )
    return 0


def _verify(store: "SqliteStore", parsed: Parsed) -> int:
    damaged = store.verify()
    if not damaged:
        print(f"{store.path}: all {store.size().records} answers are as they were written")
        return 0
    print(f"{store.path}: {len(damaged)} answers are damaged and will be computed again:")
    print("\n".join(f"  {key}" for key in damaged))
    return 1


def _clear(store: "SqliteStore", parsed: Parsed) -> int:
    held = store.size()
    if not parsed["yes"]:
        raise ValueError(
            f"this forgets {held.records} finished answers in {store.path}, which then have to be "
            "computed again; add --yes if that is meant"
        )
    store.clear()
    print(f"{store.path}: forgot {held.records} answers")
    return 0


ACTIONS: dict[str, Callable[["SqliteStore", Parsed], int]] = {
    "size": _size,
    "verify": _verify,
    "clear": _clear,
}


def _run(parsed: Parsed, words: Sequence[str]) -> int:
    action = words[0] if words else "size"
    if action not in ACTIONS or len(words) > 1:
        raise ValueError(f"cache takes one of {', '.join(ACTIONS)}, not {' '.join(words)!r}")
    from moco_jax.runs.store import FILE_NAME, SqliteStore

    path = pathlib.Path(parsed["out"]) / FILE_NAME
    if not path.exists():
        raise FileNotFoundError(f"there is no store {path}; name the folder of the runs with --out")
    with SqliteStore(path) as store:
        return ACTIONS[action](store, parsed)


COMMAND = Command(
    name="cache",
    summary="Tells how much the store of finished answers holds, checks it, or empties it.",
    usage="[size|verify|clear] [--out=DIR]",
    examples=("moco cache verify --out=runs",),
    define=_define,
    run=_run,
)
