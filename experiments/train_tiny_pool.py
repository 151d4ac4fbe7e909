"""Trains the packaged pool: tokenizers, base, experts, adapters, and the generalists.

    python experiments/train_tiny_pool.py --work=results/tiny_train
    python experiments/train_tiny_pool.py --work=results/tiny_train --install

Members are written to `<work>/pool`, tasks to `<work>/tasks`. Started again after a kill, it goes
on where it was and ends with the same weights. With `--install`, once all members stand, they and
the tasks take the places of those in the package.
"""

import json
import pathlib
import shutil

import jax
from absl import app, flags, logging

from moco_jax.models.lora_files import is_adapter_dir
from moco_jax.tiny import MEMBERS, benchmark, build, evaluate
from moco_jax.tiny.recipes import recipes

PACKAGE = pathlib.Path(build.__file__).parent

_WORK = flags.DEFINE_string("work", "results/tiny_train", "everything that training writes")
_ONLY = flags.DEFINE_list("only", [], "members to train; all that are missing by default")
_INSTALL = flags.DEFINE_bool("install", False, "put members and tasks into the package")
_EXAMINE = flags.DEFINE_bool("examine", True, "score finished members on dev, role by role")


def replace(source, target):
    """Puts a copy of a directory where another stands, which is there until the copy is whole."""
    fresh, old = target.with_suffix(".new"), target.with_suffix(".old")
    for stale in (fresh, old):
        shutil.rmtree(stale, ignore_errors=True)
    shutil.copytree(source, fresh)
    if target.is_dir():
        target.rename(old)
    fresh.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def examine(work, made):
    """Writes dev scores of all whole members to `<work>/dev_scores.json`."""
    found = {}
    for name in MEMBERS:
        directory = work / "pool" / name
        if directory.is_dir() and not is_adapter_dir(directory):
            found[name] = evaluate.examine(directory, made[name].speaker.skills)
            logging.info("%s on dev: %s", name, found[name])
    (work / "dev_scores.json").write_text(json.dumps(found, indent=1) + "\n")


def main(argv):
    del argv
    logging.set_verbosity(logging.INFO)
    work = pathlib.Path(_WORK.value)
    pool, tasks = work / "pool", work / "tasks"
    for directory in (pool, tasks):
        directory.mkdir(parents=True, exist_ok=True)
    jax.config.update("jax_compilation_cache_dir", str(work.resolve() / "compiled"))
    benchmark.write_tasks(tasks)
    made = recipes()
    for name in _ONLY.value or made:
        place = build.member_directory(made[name], pool, work)
        if place.is_dir():
            logging.info("%s stands; remove it to train it anew", place)
            continue
        build.train_member(made[name], pool, work)
    if _EXAMINE.value:
        examine(work, made)
    if _INSTALL.value:
        missing = [name for name in MEMBERS if not (pool / name).is_dir()]
        if missing:
            raise app.UsageError(f"--install needs all members; missing: {', '.join(missing)}")
        replace(pool, PACKAGE / "pool")
        replace(tasks, PACKAGE / "tasks")
        logging.info("installed into %s", PACKAGE)


if __name__ == "__main__":
    app.run(main)
