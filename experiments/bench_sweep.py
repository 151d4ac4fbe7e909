"""What a sweep saves by paying dev passes once: every method on one pool and task.

    python experiments/bench_sweep.py --ratio=0.2

Alone, every run has a folder of its own and so finds no answers; in the sweep all runs share one.
Programs are compiled beforehand for both. Tokens are those really computed, read and written.
"""

import pathlib
import statistics
import tempfile

from absl import app, flags

from moco_jax.analysis.bench_page import Section, publish, table_of
from moco_jax.method import Method, NeedsError
from moco_jax.methods import METHODS, HyperparameterError
from moco_jax.pool import Pool
from moco_jax.runs import RunResult, run
from moco_jax.runs.naming import make_method
from moco_jax.tasks import Task, load_task
from moco_jax.testing import timing

_MODELS = flags.DEFINE_list("models", ["tiny:math", "tiny:words", "tiny:facts"], "The pool.")
_TASK = flags.DEFINE_string("task", "tiny_mix", "The task.")
_METHODS = flags.DEFINE_list("methods", ["all"], "Which methods.")
_RATIO = flags.DEFINE_float("ratio", 0.2, "Share of dev and test to use.")
_REPEATS = flags.DEFINE_integer("repeats", 5, "Warm sweeps of each kind.")
_QUICK = flags.DEFINE_bool("quick", False, "Only see that it runs.")
_JSON = flags.DEFINE_string("json", None, "Where to write the table.")

DESCRIPTIONS = [
    "good with numbers, sums and differences",
    "good with letters and spelling",
    "knows people, their homes, pets, drinks and crafts",
]
BASE = "tiny:stem"
BASED = ("task_arithmetic", "ties", "dare", "della", "breadcrumbs", "model_stock")
SETTINGS = {
    "api_prompt_routing": {"model_descriptions": DESCRIPTIONS},
    "api_switch_generation": {"selector_model_name": "tiny:large"},
    "text_structure": {"structure_type": "complete"},
    "weight_dare_ties": {"base_model_name": BASE},
    "weight_layerwise": {"coefficients": [[0.6, 0.2, 0.2], [0.2, 0.6, 0.2], [0.2, 0.2, 0.6]]},
    **{f"weight_{name}": {"base_model": BASE} for name in BASED},
}


def possible(names: list[str]) -> dict[str, Method]:
    """The methods that can be made without settings of the user's own."""
    found = {}
    for name in names:
        try:
            found[name] = make_method(name, SETTINGS.get(name, {}))
        except HyperparameterError as error:
            print(f"left out: {name}: {error}")
    return found


def tokens(result: RunResult) -> int:
    costs = result.cost.spent, result.comparison_cost.spent
    return sum(cost.prompt_tokens + cost.new_tokens for cost in costs)


class Sweep:
    """Runs every method once and remembers what each took."""

    def __init__(self, pool: Pool, task: Task, together: bool):
        self.pool, self.task, self.together = pool, task, together
        self.seconds: dict[str, list[float]] = {}
        self.tokens: dict[str, int] = {}

    def __call__(self, methods: dict[str, Method]) -> None:
        """Runs the methods, in one folder or in one each."""
        with tempfile.TemporaryDirectory() as folder:
            for name, method in methods.items():
                place = pathlib.Path(folder) / ("all" if self.together else name)
                found: list[RunResult] = []

                def once(method: Method = method, place=place, found=found) -> None:
                    found.append(run(method, self.pool, self.task, out=place))

                try:
                    self.seconds.setdefault(name, []).append(timing.seconds(once))
                except NeedsError as error:
                    print(f"left out: {name}: {error}")
                    del self.seconds[name]
                    continue
                self.tokens[name] = tokens(found[0])

    def median(self, name: str) -> float:
        """Seconds of a method, without those of the first sweep."""
        return statistics.median(self.seconds[name][1:])


def main(_: list[str]) -> None:
    names, ratio, repeats = list(_METHODS.value), _RATIO.value, _REPEATS.value
    if _QUICK.value:
        ratio, repeats = 0.02, 1
    methods = possible(list(METHODS) if names == ["all"] else names)
    pool, task = Pool.load(_MODELS.value), load_task(_TASK.value, ratio=ratio)
    alone, together = (Sweep(pool, task, shared) for shared in (False, True))
    for _ in range(repeats + 1):
        alone(methods)
        together(methods)
        methods = {name: methods[name] for name in alone.seconds}
    rows = [
        {
            "method": name,
            "alone, s": alone.median(name),
            "in the sweep, s": together.median(name),
            "alone, tokens": alone.tokens[name],
            "in the sweep, tokens": together.tokens[name],
        }
        for name in methods
    ]
    sums = {key: sum(row[key] for row in rows) for key in rows[0] if key != "method"}
    rows.append({"method": "all"} | sums)
    print(publish([Section("sweep", table_of(rows), timing.machine())], _JSON.value))


if __name__ == "__main__":
    app.run(main)
