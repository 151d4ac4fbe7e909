"""How far merges of the tiny experts may go from their base: a table of docs/levels/weight.md.

    python experiments/measure_merging.py --page=docs/levels/weight.md

Greedy test accuracy on `tiny_mix` of `tiny:math`, `tiny:words` and `tiny:facts` merged over
`tiny:stem`, the model they were tuned from; mean over the seeds of the random masks.
"""

import pathlib
import statistics
from typing import Any

from absl import app, flags

from moco_jax import Pool, Sampling, load_task, run
from moco_jax.analysis.bench_page import Section, fill, publish
from moco_jax.analysis.tables import TextTable
from moco_jax.testing.timing import machine

_PAGE = flags.DEFINE_string("page", None, "The page; none is written by default.")
_OUT = flags.DEFINE_string("out", "results/merging", "Folder of the runs.")
_SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds.")
_RATIO = flags.DEFINE_float("ratio", 1.0, "Share of the task.")

EXPERTS, BASE = ["tiny:math", "tiny:words", "tiny:facts"], "tiny:stem"
GREEDY = Sampling(temperature=0.0, max_new_tokens=32)

Settings = dict[str, Any]
ROWS: list[tuple[str, Settings]] = [
    ("weight_average", {}),
    *(("weight_task_arithmetic", {"lambda_": step}) for step in (0.1, 0.2, 0.4)),
    *(("weight_ties", {"lambda_": step}) for step in (0.25, 0.5, 1.0)),
    ("weight_breadcrumbs", {}),
    ("weight_model_stock", {}),
    *(("weight_dare", {"density": share}) for share in (0.5, 0.9)),
    *(
        ("weight_dare_ties", {"density": share, "rescale": rescale, "normalize": normalize})
        for share in (0.5, 0.9)
        for rescale in ("inverse_density", "none")
        for normalize in (False, True)
    ),
    *(("weight_della", {"normalize": normalize}) for normalize in (False, True)),
]


def based(method: str) -> Settings:
    """The setting that names the base, where the method has one."""
    if method == "weight_average":
        return {}
    return {"base_model_name" if method == "weight_dare_ties" else "base_model": BASE}


def main(_: list[str]) -> None:
    pool, task = Pool.load(EXPERTS), load_task("tiny_mix", ratio=_RATIO.value)
    rows, alone = [], 0.0
    for method, settings in ROWS:
        done = [
            run(
                method,
                pool,
                task,
                seed=int(seed),
                hyperparameters=settings | based(method),
                sampling=GREEDY,
                out=_OUT.value,
            )
            for seed in _SEEDS.value
        ]
        scores = [result.score for result in done]
        for helper in done[0].helpers.values():
            alone = helper.test
        shown = ", ".join(f"{name}={value}" for name, value in settings.items())
        rows.append((method, shown or "(no settings)", f"{statistics.mean(scores):.3f}"))
    rows.insert(0, (f"{BASE} alone", "", f"{alone:.3f}"))
    table = TextTable(("method", "settings", "score"), tuple(rows), frozenset({2}))
    section = Section("merging", table, machine())
    print(publish([section], None))
    if _PAGE.value:
        page = pathlib.Path(_PAGE.value)
        page.write_text(fill(page.read_text(), [section]))


if __name__ == "__main__":
    app.run(main)
