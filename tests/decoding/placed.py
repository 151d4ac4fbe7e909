"""Decodes on several meshes and says what came out, as one process or one of several.

Usage: python placed.py [--coordinator=HOST:PORT --processes=N --process=I] MESH ...
Each process needs its share of 8 devices; one that is alone pretends to have all of them.
"""

import json
import os
import pathlib
import re
import sys

DEVICES = 8
CACHE = pathlib.Path(__file__).parents[2] / ".cache" / "jax"
FLAG = re.compile(r"--(coordinator|processes|process)=(.*)")

found = dict(match.groups() for match in map(FLAG.fullmatch, sys.argv[1:]) if match)
COUNT = int(found.get("processes", 1))
os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={DEVICES // COUNT}"
os.environ["JAX_PLATFORMS"] = "cpu"

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from moco_jax.decoding import loop, schedule  # noqa: E402
from moco_jax.decoding.combine import FIRST, WEIGHTED_LOGITS  # noqa: E402
from moco_jax.decoding.engine import Engine  # noqa: E402
from moco_jax.decoding.groups import Group, Weights, new_cache  # noqa: E402
from moco_jax.decoding.placement import Placement, make_mesh, read_sizes  # noqa: E402
from moco_jax.decoding.sampling import Filters, Knobs  # noqa: E402
from moco_jax.decoding.scoring import score_rows  # noqa: E402
from moco_jax.decoding.types import Request, Sampling  # noqa: E402
from moco_jax.models.config import ModelConfig  # noqa: E402
from moco_jax.models.decoder import init_params  # noqa: E402
from moco_jax.runs.processes import join_processes  # noqa: E402
from moco_jax.testing import dummy_pool  # noqa: E402

VOCAB, EOS = 64, 5
CONFIG = ModelConfig(
    family="qwen2",
    vocab_size=VOCAB,
    hidden_size=32,
    intermediate_size=48,
    num_layers=1,
    num_heads=4,
    num_kv_heads=2,
    qkv_bias=True,
)
FUSED = ModelConfig(
    family="phi3",
    vocab_size=VOCAB,
    hidden_size=32,
    intermediate_size=48,
    num_layers=1,
    num_heads=4,
    num_kv_heads=1,
)
GREEDY = Sampling(temperature=0, max_new_tokens=10)
WIDTH, SETS, VOICES = 8, 2, 4
CHOIR = Group(CONFIG, VOICES, "voices")
QUARTERS = np.full(VOICES, 0.25, np.float32)

WANTED = {
    "": ("one", "joint", "voices", "engine", "stack", "bank", "score"),
    "data=8": ("one", "bank"),
    "data=4,tensor=2": ("one", "joint", "score", "layout"),
    "model=2,data=2,tensor=2": ("joint", "voices", "engine", "stack", "layout", "compiled"),
}
IN_PARTS = ("joint",)
"""What is asked of several processes."""
"""What is asked of each mesh, so that all are compiled in little time."""


def make_params(config, seed):
    params = init_params(config, jax.random.key(seed))
    return jax.tree.map(lambda leaf: leaf * 8 if leaf.ndim == 2 else leaf, params)


def make_bank(seed):
    """Two adapters over the queries and the last layer of every block."""
    rng = np.random.default_rng(seed)

    def factors(inner, outer):
        shape = {"a": (SETS, inner, 2), "b": (SETS, 2, outer)}
        return {name: rng.normal(size=size).astype(np.float32) for name, size in shape.items()}

    layer = {
        "self_attn": {"q_proj": factors(32, 32), "o_proj": factors(32, 32)},
        "mlp": {"up_proj": factors(32, 48), "down_proj": factors(48, 32)},
    }
    return {f"layers_{index}": layer for index in range(CONFIG.num_layers)}


def voices():
    """Members of one architecture that write together."""
    return tuple(Weights(make_params(CONFIG, seed)) for seed in range(10, 10 + VOICES))


def cases():
    """name -> (groups, weights, policy, settings of a row)."""
    first, second, fused = make_params(CONFIG, 0), make_params(CONFIG, 1), make_params(FUSED, 2)
    stack = jax.tree.map(lambda *leaves: jnp.stack(leaves), first, second)
    one, bank = Weights(first), Weights(first, make_bank(3))
    both = np.full(2, 0.5, np.float32)
    return {
        "one": ((Group(CONFIG),), (one,), FIRST, ()),
        "joint": ((Group(CONFIG), Group(FUSED)), (one, Weights(fused)), WEIGHTED_LOGITS, both),
        "voices": ((Group(CONFIG),) * VOICES, voices(), WEIGHTED_LOGITS, QUARTERS),
        "stack": ((Group(CONFIG, SETS, "stack"),), (Weights(stack),), FIRST, ()),
        "bank": ((Group(CONFIG, SETS, "mixed"),), (bank,), FIRST, ()),
    }


def prompts():
    """More than there are slots, of lengths that need one shape only."""
    rng = np.random.default_rng(3)
    return [rng.integers(6, VOCAB, size).astype(np.int32) for size in rng.integers(18, 24, 10)]


def decode(placement, groups, weights, combine, theta):
    texts = [[np.roll(prompt, member) for member in range(len(groups))] for prompt in prompts()]
    if len(groups) == VOICES and placement.mesh:
        groups, weights = (CHOIR,), (Weights(tuple(one.params for one in weights)),)
    program = loop.Program(groups, combine, Filters.of(GREEDY), VOCAB)
    placed = tuple(map(placement.weights, groups, weights))
    machine = schedule.Machine(program, placed, Knobs.of(GREEDY), (EOS,), WIDTH, 4)
    jobs = [
        schedule.Job(tuple(text), np.zeros(2, np.uint32), 10, theta, index % SETS)
        for index, text in enumerate(texts)
    ]
    if groups[0].sets == groups[0].voices:
        jobs = [schedule.Job(job.prompts, job.key, job.budget, job.theta) for job in jobs]
    streams = dict(placement.steps(schedule.run(machine, jobs)))
    return [streams[index].tokens.tolist() for index in range(len(jobs))]


def score(placement, group, weights):
    rows = [(prompt[:1], prompt[1:]) for prompt in prompts()]
    found = dict(placement.steps(score_rows(group, placement.weights(group, weights), rows)))
    return [float(found[index].sum()) for index in range(len(rows))]


def join(placement):
    """What members of one architecture write together when an engine is asked, twice."""
    pool, requests = dummy_pool(2), [Request.user(f"what is {n} + 4?") for n in range(3)]
    engine = Engine(width=4, placement=placement)
    halves = np.full((3, 2), 0.5, np.float32)
    said = [engine.join(pool, requests, GREEDY, WEIGHTED_LOGITS, halves) for _ in range(2)]
    return [[list(one.tokens) for one in answers] for answers in said]


def held(params):
    """Which members each device holds, as [device, first, end]; the same of every leaf."""
    found = {
        tuple((part.device.id, part.index[0].start, part.index[0].stop) for part in parts)
        for parts in (leaf.addressable_shards for leaf in jax.tree.leaves(params))
    }
    (same,) = found
    return same


def stacked_choir(placement):
    """The members that write together, stacked from host memory and from the devices alike."""
    host = tuple(one.params for one in voices())
    there = tuple(placement.params(CONFIG, params) for params in host)
    ours, theirs = (placement.weights(CHOIR, Weights(params)) for params in (host, there))
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert one.sharding.is_equivalent_to(other.sharding, one.ndim)
        np.testing.assert_array_equal(one, other)
    return ours


def step_text(placement, group, weights, combine=FIRST, theta=()):
    """The compiled decode program."""
    program = loop.Program((group,), combine, Filters.of(GREEDY), VOCAB)
    rows = loop.empty_rows(program, WIDTH, 16, theta)
    with placement.active():
        cache = new_cache(group, group.voices * WIDTH, 64, jnp.dtype(jnp.float32))
        arguments = ((placement.weights(group, weights),), (cache,), rows, Knobs.of(GREEDY))
        last = (np.array([EOS], np.int32), np.int32(4), np.int32(WIDTH))
        return loop.decode.lower(program, *arguments, *last).compile().as_text()


def collectives(text):
    """How often each kind of collective stands in a compiled program, with its size."""
    kinds = "all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter"
    lines = re.findall(rf"= (.*?) ({kinds})(?:-start)?\(", text)
    return [[kind, max(map(_size, re.findall(r"\[([\d,]*)\]", shape)))] for shape, kind in lines]


def _size(shape):
    return int(np.prod([int(part) for part in shape.split(",") if part]))


def layout(placement, group):
    with placement.active():
        cache = new_cache(group, group.voices * WIDTH, 64, jnp.dtype(jnp.float32))
    shard = cache[0][0].addressable_shards[0]
    return str(cache[0][0].sharding.spec), list(shard.data.shape)


def report(text):
    """All that is asked of one mesh; an empty text is one device."""
    placement = Placement(make_mesh(**read_sizes(text)) if text else None)
    wanted = WANTED[text] if COUNT == 1 else IN_PARTS
    told = {name: decode(placement, *case) for name, case in cases().items() if name in wanted}
    (group,), (weights,), _, _ = cases()["one"]
    if "score" in wanted:
        told["score"] = score(placement, group, weights)
    if "layout" in wanted:
        told["layout"] = layout(placement, group)
    if "compiled" in wanted:
        (pair,), (stack,), _, _ = cases()["stack"]
        told["stack layout"] = layout(placement, pair)
        told["collectives"] = collectives(step_text(placement, group, weights))
        told["stack collectives"] = collectives(step_text(placement, pair, stack))
    if "engine" in wanted:
        told["engine"] = join(placement)
    if "engine" in wanted and placement.mesh:
        choir = stacked_choir(placement)
        told["choir held"], told["choir layout"] = held(choir.params), layout(placement, CHOIR)
        text = step_text(placement, CHOIR, choir, WEIGHTED_LOGITS, QUARTERS)
        told["choir collectives"] = collectives(text)
        cache = re.escape(",".join(map(str, told["choir layout"][1])))
        told["choir caches"] = [
            len(re.findall(rf"= f32\[{cache}\]\S* {kind}\(", text)) for kind in ("\\S+", "copy")
        ]
    return told


def main(meshes):
    jax.config.update("jax_compilation_cache_dir", str(CACHE))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
    join_processes(found.get("coordinator", ""), COUNT, int(found.get("process", 0)))
    print("RESULT", json.dumps({text: report(text) for text in meshes}))


if __name__ == "__main__":
    main([word for word in sys.argv[1:] if not FLAG.fullmatch(word)])
