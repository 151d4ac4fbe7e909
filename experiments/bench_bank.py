"""A bank of adapters in one program against one merged model after the other.

    python experiments/bench_bank.py --adapters=8 --prompts=1,2,32

Every adapter answers every prompt. One by one, each adapter is merged into the base beforehand,
which costs nothing here, and all runs are warm.
"""

import dataclasses

import jax
import numpy as np
from absl import app, flags

from moco_jax.analysis.bench_page import Section, publish, table_of
from moco_jax.decoding.engine import Engine
from moco_jax.decoding.types import Request, Sampling
from moco_jax.models import lora
from moco_jax.pool import Member, variants
from moco_jax.testing import sized, timing

_SIZE = flags.DEFINE_string("size", "50M", "Size of the base.")
_ADAPTERS = flags.DEFINE_integer("adapters", 8, "How many.")
_RANK = flags.DEFINE_integer("rank", 16, "Their rank, in all linear layers.")
_PROMPTS = flags.DEFINE_list("prompts", ["1", "2", "32"], "Prompts that each adapter answers.")
_PROMPT = flags.DEFINE_integer("prompt", 64, "Tokens of a prompt.")
_NEW = flags.DEFINE_integer("new", 64, "Tokens of an answer.")
_REPEATS = flags.DEFINE_integer("repeats", 5, "Warm runs of each side.")
_QUICK = flags.DEFINE_bool("quick", False, "Only see that it runs.")
_JSON = flags.DEFINE_string("json", None, "Where to write the table.")

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def random_adapter(base: Member, seed: int) -> lora.Adapter:
    """An adapter that changes something: both of its factors are random."""
    config = lora.LoraConfig(rank=_RANK.value, targets=TARGETS)
    adapter = lora.init_adapter(base.params, config, jax.random.key(seed))
    keys = iter(jax.random.split(jax.random.key(seed), len(adapter.factors)))
    factors = {
        module: {"a": factor["a"], "b": 0.02 * jax.random.normal(next(keys), factor["b"].shape)}
        for module, factor in adapter.factors.items()
    }
    return dataclasses.replace(adapter, factors=factors)


def answers(members: list[Member], prompts: list[str], together: bool) -> list[tuple[int, ...]]:
    sampling = Sampling(max_new_tokens=_NEW.value, temperature=0.0)
    requests = [Request.user(prompt) for prompt in prompts]
    calls = [members] if together else [[member] for member in members]
    found = []
    for call in calls:
        asked = [member for member in call for _ in requests]
        found += Engine(width=len(prompts)).ask(asked, requests * len(call), sampling)
    return [answer.tokens for answer in found]


def measure(bank: list[Member], merged: list[Member], count: int) -> dict[str, object]:
    prompts = sized.word_prompts(bank[0].config.vocab_size, count, _PROMPT.value)
    texts = {}

    def together() -> None:
        texts["bank"] = answers(bank, prompts, True)

    def one_by_one() -> None:
        texts["merged"] = answers(merged, prompts, False)

    actions = {"bank": together, "merged": one_by_one}
    found = timing.side_by_side(actions, _REPEATS.value)
    return {
        "adapters": len(bank),
        "prompts each": count,
        "bank, s": found["bank"].median,
        "one by one, s": found["merged"].median,
        "times as fast": timing.speedup(found["merged"], found["bank"]),
        "same tokens": f"{np.mean(np.array(texts['bank']) == np.array(texts['merged'])):.1%}",
    }


def main(_: list[str]) -> None:
    size, counts = _SIZE.value, [int(count) for count in _PROMPTS.value]
    number = _ADAPTERS.value
    if _QUICK.value:
        size, counts, number = "tiny", [2], 2
    base = sized.sized_member(sized.SIZES[size])
    adapters = [random_adapter(base, seed) for seed in range(number)]
    names = [f"adapter {seed}" for seed in range(number)]
    bank = variants(base, names, names, adapters=adapters)
    merged = [
        base.derive(name, lora.merge_adapter(base.params, adapter), f"merged {name}")
        for name, adapter in zip(names, adapters, strict=True)
    ]
    rows = [measure(bank, merged, count) for count in counts]
    print(publish([Section("bank", table_of(rows), timing.machine())], _JSON.value))


if __name__ == "__main__":
    app.run(main)
