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
from moco_jax.decoding.groups import Group, Weights, new_cache  # noqa: E402
from moco_jax.decoding.placement import Placement, make_mesh, read_sizes  # noqa: E402
from moco_jax.decoding.sampling import Filters, Knobs  # noqa: E402
from moco_jax.decoding.scoring import score_rows  # noqa: E402
from moco_jax.decoding.types import Sampling  # noqa: E402
from moco_jax.models.config import ModelConfig  # noqa: E402
from moco_jax.models.decoder import init_params  # noqa: E402
from moco_jax.runs.processes import join_processes  # noqa: E402

VOCAB, EOS = 64, 5
CONFIG = ModelConfig(
    family="qwen2",
    vocab_size=VOCAB,
    hidden_size=32,
    intermediate_size=48,
    num_layers=2,
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
WIDTH, SETS = 8, 2

WANTED = {
    "": ("one", "fused", "joint", "stack", "bank", "score"),
    "data=8": ("one", "bank"),
    "data=4,tensor=2": ("one", "fused", "joint", "score", "compiled"),
    "model=2,data=2,tensor=2": ("joint", "stack", "compiled"),
}
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


def cases():
    """name -> (groups, weights, policy, settings of a row)."""
    first, second, fused = make_params(CONFIG, 0), make_params(CONFIG, 1), make_params(FUSED, 2)
    stack = jax.tree.map(lambda *leaves: jnp.stack(leaves), first, second)
    one, bank = Weights(first), Weights(first, make_bank(3))
    both = np.full(2, 0.5, np.float32)
    return {
        "one": ((Group(CONFIG),), (one,), FIRST, ()),
        "fused": ((Group(FUSED),), (Weights(fused),), FIRST, ()),
        "joint": ((Group(CONFIG), Group(FUSED)), (one, Weights(fused)), WEIGHTED_LOGITS, both),
        "stack": ((Group(CONFIG, SETS, "stack"),), (Weights(stack),), FIRST, ()),
        "bank": ((Group(CONFIG, SETS, "mixed"),), (bank,), FIRST, ()),
    }


def prompts():
    """More than there are slots, of lengths that need one shape only."""
    rng = np.random.default_rng(3)
    return [rng.integers(6, VOCAB, size).astype(np.int32) for size in rng.integers(18, 24, 10)]


def decode(placement, groups, weights, combine, theta):
    program = loop.Program(groups, combine, Filters.of(GREEDY), VOCAB)
    placed = tuple(map(placement.weights, groups, weights))
    machine = schedule.Machine(program, placed, Knobs.of(GREEDY), (EOS,), WIDTH, 4)
    jobs = [
        schedule.Job((prompt,) * len(groups), np.zeros(2, np.uint32), 10, theta, index % SETS)
        for index, prompt in enumerate(prompts())
    ]
    if groups[0].sets == 1:
        jobs = [schedule.Job(job.prompts, job.key, job.budget, job.theta) for job in jobs]
    streams = dict(placement.steps(schedule.run(machine, jobs)))
    return [streams[index].tokens.tolist() for index in range(len(jobs))]


def score(placement, group, weights):
    rows = [(prompt[:1], prompt[1:]) for prompt in prompts()]
    found = dict(placement.steps(score_rows(group, placement.weights(group, weights), rows)))
    return [float(found[index].sum()) for index in range(len(rows))]


def collectives(placement, group, weights):
    """How often each kind of collective stands in the compiled decode program, with its size."""
    program = loop.Program((group,), FIRST, Filters.of(GREEDY), VOCAB)
    rows = loop.empty_rows(program, WIDTH, 16, ())
    with placement.active():
        cache = new_cache(group, WIDTH, 64, jnp.dtype(jnp.float32))
        arguments = ((placement.weights(group, weights),), (cache,), rows, Knobs.of(GREEDY))
        last = (np.array([EOS], np.int32), np.int32(4), np.int32(WIDTH))
        text = loop.decode.lower(program, *arguments, *last).compile().as_text()
    kinds = "all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter"
    lines = re.findall(rf"= (.*?) ({kinds})(?:-start)?\(", text)
    return [[kind, max(map(_size, re.findall(r"\[([\d,]*)\]", shape)))] for shape, kind in lines]


def _size(shape):
    return int(np.prod([int(part) for part in shape.split(",") if part]))


def layout(placement, group):
    with placement.active():
        cache = new_cache(group, WIDTH, 64, jnp.dtype(jnp.float32))
    shard = cache[0][0].addressable_shards[0]
    return str(cache[0][0].sharding.spec), list(shard.data.shape)


def report(text):
    """All that is asked of one mesh; an empty text is one device."""
    placement = Placement(make_mesh(**read_sizes(text)) if text else None)
    wanted = WANTED[text] if COUNT == 1 else ("one", "joint")
    told = {name: decode(placement, *case) for name, case in cases().items() if name in wanted}
    (group,), (weights,), _, _ = cases()["one"]
    if "score" in wanted:
        told["score"] = score(placement, group, weights)
    if "compiled" in wanted:
        told["layout"] = layout(placement, group)
        (pair,), (stack,), _, _ = cases()["stack"]
        told["stack layout"] = layout(placement, pair)
        told["collectives"] = collectives(placement, group, weights)
        told["stack collectives"] = collectives(placement, pair, stack)
    return told


def main(meshes):
    jax.config.update("jax_compilation_cache_dir", str(CACHE))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
    join_processes(found.get("coordinator", ""), COUNT, int(found.get("process", 0)))
    print("RESULT", json.dumps({text: report(text) for text in meshes}))


if __name__ == "__main__":
    main([word for word in sys.argv[1:] if not FLAG.fullmatch(word)])
