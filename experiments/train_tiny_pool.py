"""Trains the packaged pool: tokenizers, base, experts, adapters, and the generalists.

    python experiments/train_tiny_pool.py --work=results/tiny_train --pool=moco_jax/tiny/pool

Started again after a kill, it goes on where it was and ends with the same weights.
"""

import pathlib

from absl import app, flags, logging

from moco_jax.tiny import benchmark, build
from moco_jax.tiny.recipes import recipes

_POOL = flags.DEFINE_string("pool", "moco_jax/tiny/pool", "where the members are written")
_TASKS = flags.DEFINE_string("tasks", "moco_jax/tiny/tasks", "where the tasks are written")
_WORK = flags.DEFINE_string("work", "results/tiny_train", "tokenizers and training checkpoints")
_ONLY = flags.DEFINE_list("only", [], "members to train; all that are missing by default")


def main(argv):
    del argv
    logging.set_verbosity(logging.INFO)
    pool, work, tasks = (pathlib.Path(flag.value) for flag in (_POOL, _WORK, _TASKS))
    for directory in (pool, work, tasks):
        directory.mkdir(parents=True, exist_ok=True)
    benchmark.write_tasks(tasks)
    made = recipes()
    for name in _ONLY.value or made:
        place = build.member_directory(made[name], pool, work)
        if place.is_dir():
            logging.info("%s stands; remove it to train it anew", place)
            continue
        build.train_member(made[name], pool, work)


if __name__ == "__main__":
    app.run(main)
