"""Members that write one text together: against each alone, and against the way without a cache.

    python experiments/bench_joint.py --members=2,3,4 --batches=1,8,32

The first table compares M members joined with the sum of M single decodes. The second compares
three joined members with the same fusion in PyTorch where every token costs a forward pass of
every member over the whole sequence, as the field's reference computes it.
"""

import tempfile

import numpy as np
import torch
import transformers
from absl import app, flags

from moco_jax.analysis.bench_page import Section, publish, table_of
from moco_jax.decoding.combine import WEIGHTED_LOGITS
from moco_jax.decoding.engine import Engine
from moco_jax.decoding.types import Request, Sampling
from moco_jax.pool import Member
from moco_jax.testing import sized, timing

_SIZE = flags.DEFINE_string("size", "50M", "Size of every member.")
_MEMBERS = flags.DEFINE_list("members", ["2", "3", "4"], "How many write together.")
_BATCHES = flags.DEFINE_list("batches", ["1", "8", "32"], "Texts written together.")
_PROMPT = flags.DEFINE_integer("prompt", 64, "Tokens of a prompt.")
_NEW = flags.DEFINE_integer("new", 64, "Tokens of an answer.")
_REPEATS = flags.DEFINE_integer("repeats", 5, "Warm runs of each side.")
_SLOW_REPEATS = flags.DEFINE_list(
    "slow_repeats", ["5", "3", "1"], "Warm runs of the second table, per batch: they take minutes."
)
_PARTS = flags.DEFINE_list("parts", ["joint", "joint_no_cache"], "Tables to measure.")
_QUICK = flags.DEFINE_bool("quick", False, "Only see that it runs.")
_JSON = flags.DEFINE_string("json", None, "Where to write the tables.")

FUSED = 3


def _sampling() -> Sampling:
    return Sampling(max_new_tokens=_NEW.value, temperature=0.0)


def joined(members: list[Member], prompts: list[str]) -> list[tuple[int, ...]]:
    requests = [Request.user(prompt) for prompt in prompts]
    theta = np.full((len(prompts), len(members)), 1 / len(members), np.float32)
    engine = Engine(width=len(prompts))
    answers = engine.join(members, requests, _sampling(), WEIGHTED_LOGITS, theta)
    return [answer.tokens for answer in answers]


def alone(member: Member, prompts: list[str]) -> None:
    requests = [Request.user(prompt) for prompt in prompts]
    Engine(width=len(prompts)).ask([member] * len(prompts), requests, _sampling())


def against_single(members: list[Member], batch: int) -> dict[str, object]:
    prompts = sized.word_prompts(members[0].config.vocab_size, batch, _PROMPT.value)

    def one_by_one() -> None:
        for member in members:
            alone(member, prompts)

    actions = {"joint": lambda: joined(members, prompts), "single": one_by_one}
    found = timing.side_by_side(actions, _REPEATS.value)
    return {
        "members": len(members),
        "batch": batch,
        "joined, s": found["joint"].median,
        "one by one, s": found["single"].median,
        "joined over sum": 1 / timing.speedup(found["single"], found["joint"]),
    }


@torch.inference_mode()
def without_cache(models: list[torch.nn.Module], tokens: torch.Tensor) -> list[tuple[int, ...]]:
    start = tokens.shape[1]
    for _ in range(_NEW.value):
        logits = sum(model(input_ids=tokens, use_cache=False).logits[:, -1] for model in models)
        tokens = torch.cat([tokens, logits.argmax(-1, keepdim=True)], dim=1)
    return [tuple(row) for row in tokens[:, start:].tolist()]


def as_torch(member: Member) -> torch.nn.Module:
    with tempfile.TemporaryDirectory() as folder:
        member.save(folder)
        return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def against_no_cache(members: list[Member], batch: int, repeats: int) -> dict[str, object]:
    models = [as_torch(member) for member in members]
    prompts = sized.word_prompts(members[0].config.vocab_size, batch, _PROMPT.value)
    tokens = members[0].tokenizer(prompts, return_tensors="pt")["input_ids"]
    texts = {}

    def slow() -> None:
        texts["slow"] = without_cache(models, tokens)

    def fast() -> None:
        texts["fast"] = joined(members, prompts)

    # Nothing is compiled on the slow side: a short run warms it up
    without_cache(models, tokens[:1, :8])
    fast()
    warm: dict[str, list[float]] = {"slow": [], "fast": []}
    for _ in range(repeats):
        warm["slow"].append(timing.seconds(slow))
        warm["fast"].append(timing.seconds(fast))
    found = {name: timing.Timing(0.0, tuple(taken)) for name, taken in warm.items()}
    return {
        "batch": batch,
        "runs": repeats,
        "joined, s": found["fast"].median,
        "without cache, s": found["slow"].median,
        "times as fast": timing.speedup(found["slow"], found["fast"]),
        "same tokens": f"{np.mean(np.array(texts['slow']) == np.array(texts['fast'])):.1%}",
    }


def main(_: list[str]) -> None:
    size, counts = _SIZE.value, [int(count) for count in _MEMBERS.value]
    batches = [int(batch) for batch in _BATCHES.value]
    slow_repeats = [int(count) for count in _SLOW_REPEATS.value]
    if _QUICK.value:
        size, counts, batches = "tiny", [2], [2]
        slow_repeats = [1]
    most = max([FUSED, *counts])
    members = [sized.sized_member(sized.SIZES[size], f"m{seed}", seed) for seed in range(most)]
    tables: dict[str, list[dict[str, object]]] = {}
    if "joint" in _PARTS.value:
        tables["joint"] = [
            against_single(members[:count], batch) for count in counts for batch in batches
        ]
    if "joint_no_cache" in _PARTS.value:
        tables["joint_no_cache"] = [
            against_no_cache(members[:FUSED], batch, repeats)
            for batch, repeats in zip(batches, slow_repeats, strict=True)
        ]
    facts = timing.machine()
    sections = [Section(name, table_of(rows), facts) for name, rows in tables.items()]
    print(publish(sections, _JSON.value))


if __name__ == "__main__":
    app.run(main)
