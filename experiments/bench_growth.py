"""How seconds and bytes grow with members, rows, prompt length and particles.

    python experiments/bench_growth.py --plots=docs/performance

Bytes are those of all weights in use and the most by which the process grew while it answered.
"""

import functools
import pathlib
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags

from moco_jax.analysis.bench_page import Section, publish, table_of
from moco_jax.analysis.curves import growth_plot
from moco_jax.decoding.combine import WEIGHTED_LOGITS
from moco_jax.decoding.engine import Engine
from moco_jax.decoding.types import Request, Sampling
from moco_jax.models import lora
from moco_jax.pool import Member, variants
from moco_jax.testing import sized, timing

_SIZE = flags.DEFINE_string("size", "50M", "Size of members, and of the base of adapters.")
_SMALL = flags.DEFINE_string("small", "10M", "Size of particles that are full weights.")
_AXES = flags.DEFINE_list("axes", ["members", "rows", "prompt", "particles"], "What grows.")
_NEW = flags.DEFINE_integer("new", 32, "Tokens of an answer.")
_REPEATS = flags.DEFINE_integer("repeats", 5, "Warm runs of each point.")
_QUICK = flags.DEFINE_bool("quick", False, "Only see that it runs.")
_JSON = flags.DEFINE_string("json", None, "Where to write the tables.")
_PLOTS = flags.DEFINE_string("plots", None, "Folder for one SVG per axis.")

Point = dict[str, float]
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def _sampling() -> Sampling:
    return Sampling(max_new_tokens=_NEW.value, temperature=0.0)


def _requests(member: Member, count: int, length: int = 64) -> list[Request]:
    texts = sized.word_prompts(member.config.vocab_size, count, length)
    return [Request.user(text) for text in texts]


def measure(run: Callable[[], object], weights: object) -> Point:
    taken = timing.side_by_side({"run": run}, _REPEATS.value)["run"].median
    with timing.watch_memory() as peak:
        run()
    held = sum(leaf.nbytes for leaf in jax.tree.leaves(weights))
    return {"seconds": taken, "GB": (held + peak.grown) / 1e9}


def ask(members: list[Member], requests: list[Request], width: int | None = None) -> None:
    Engine(width=width).ask(members, requests, _sampling())


def join(members: list[Member], requests: list[Request]) -> None:
    theta = np.full((len(requests), len(members)), 1 / len(members), np.float32)
    Engine().join(members, requests, _sampling(), WEIGHTED_LOGITS, theta)


def over_members(size: sized.Size, counts: list[int]) -> dict[int, Point]:
    members = [sized.sized_member(size, f"m{seed}", seed) for seed in range(max(counts))]
    requests = _requests(members[0], 8)
    return {
        count: measure(
            functools.partial(join, members[:count], requests),
            [member.params for member in members[:count]],
        )
        for count in counts
    }


def over_requests(member: Member, asked: dict[int, list[Request]]) -> dict[int, Point]:
    return {
        number: measure(
            functools.partial(ask, [member] * len(requests), requests, len(requests)),
            member.params,
        )
        for number, requests in asked.items()
    }


def over_particles(particles: Callable[[int], list[Member]], counts: list[int]) -> dict[int, Point]:
    points = {}
    for count in counts:
        members = particles(count)
        population = members[0].variant.population
        requests = _requests(members[0], 1) * count
        weights = population.params, population.bank
        points[count] = measure(functools.partial(ask, members, requests), weights)
    return points


def banks(base: Member) -> Callable[[int], list[Member]]:
    config = lora.LoraConfig(rank=16, targets=TARGETS)

    def make(count: int) -> list[Member]:
        keys = jax.random.split(jax.random.key(0), count)
        names = [f"adapter {place}" for place in range(count)]
        adapters = [lora.init_adapter(base.params, config, key) for key in keys]
        return variants(base, names, names, adapters=adapters)

    return make


def swarms(base: Member) -> Callable[[int], list[Member]]:
    def make(count: int) -> list[Member]:
        names = [f"particle {place}" for place in range(count)]
        stacked = jax.tree.map(lambda leaf: jnp.stack([leaf] * count), base.params)
        return variants(base, names, names, params=stacked)

    return make


def curves(axis: str, quick: bool) -> dict[str, dict[int, Point]]:
    """Points by curve and number; the names of curves are those in table and plot."""
    size = sized.SIZES["tiny" if quick else _SIZE.value]
    small = sized.SIZES["tiny" if quick else _SMALL.value]
    if axis == "members":
        return {"": over_members(size, [1, 2] if quick else [1, 2, 3, 4, 6, 8])}
    member = sized.sized_member(size)
    if axis == "rows":
        counts = [1, 2] if quick else [1, 2, 4, 8, 16, 32, 64, 128, 256]
        return {"": over_requests(member, {n: _requests(member, n) for n in counts})}
    if axis == "prompt":
        lengths = [16, 32] if quick else [64, 128, 256, 512, 1024, 2048, 4096]
        return {"": over_requests(member, {n: _requests(member, 1, n) for n in lengths})}
    counts = [1, 2] if quick else [1, 2, 4, 8, 16, 32]
    return {
        "adapters": over_particles(banks(member), counts),
        "full weights": over_particles(swarms(sized.sized_member(small)), counts),
    }


def report(axis: str, found: dict[str, dict[int, Point]]) -> Section:
    rows = [
        {axis: number} | ({"what": name} if name else {}) | point
        for name, points in found.items()
        for number, point in points.items()
    ]
    lines = {
        f"{name} {unit}".strip(): [(number, point[unit]) for number, point in points.items()]
        for name, points in found.items()
        for unit in ("seconds", "GB")
    }
    if _PLOTS.value:
        folder = pathlib.Path(_PLOTS.value)
        folder.mkdir(parents=True, exist_ok=True)
        plot = growth_plot(f"Growth with {axis}", axis, "seconds, GB", lines)
        (folder / f"growth_{axis}.svg").write_text(plot)
    return Section(f"growth_{axis}", table_of(rows), timing.machine())


def main(_: list[str]) -> None:
    sections = []
    for axis in _AXES.value:
        sections.append(report(axis, curves(axis, _QUICK.value)))
        print(publish(sections[-1:], None), flush=True)
    publish(sections, _JSON.value)


if __name__ == "__main__":
    app.run(main)
