"""One model against `transformers` generate: same weights, dtype, prompts and numbers of tokens.

    python experiments/bench_single.py --sizes=50M,500M --batches=1,8,32

The first table has answers of equal length. In the second their lengths are geometric, with a mean
of a quarter of the most: `transformers` waits in each batch for the longest answer, and we refill.
Neither side is told the lengths before.
"""

import dataclasses
import tempfile
from collections.abc import Callable

import jax
import numpy as np
import torch
import transformers
from absl import app, flags

from moco_jax.analysis.bench_page import Section, publish, table_of
from moco_jax.decoding.combine import Choice, Combine
from moco_jax.decoding.engine import Engine
from moco_jax.decoding.types import Request, Sampling
from moco_jax.pool import Member
from moco_jax.testing import sized, timing

_SIZES = flags.DEFINE_list("sizes", ["50M", "500M"], "Sizes of the model.")
_BATCHES = flags.DEFINE_list("batches", ["1", "8", "32"], "Rows decoded together.")
_PROMPT = flags.DEFINE_integer("prompt", 64, "Tokens of a prompt.")
_NEW = flags.DEFINE_integer("new", 64, "Tokens of an answer, where all are equal.")
_MOST = flags.DEFINE_integer("most", 128, "Most tokens of an answer of geometric length.")
_CALLS = flags.DEFINE_integer("calls", 8, "Batches of requests with answers of geometric length.")
_UNEVEN = flags.DEFINE_list("uneven", ["50M"], "Sizes that answer with geometric lengths as well.")
_REPEATS = flags.DEFINE_integer("repeats", 5, "Warm runs of each side.")
_PARTS = flags.DEFINE_list("parts", ["single", "single_geometric"], "Tables to measure.")
_QUICK = flags.DEFINE_bool("quick", False, "Only see that it runs.")
_JSON = flags.DEFINE_string("json", None, "Where to write the tables.")

Texts = list[list[int]]


@dataclasses.dataclass(frozen=True)
class Work:
    """Prompts and how many tokens each answer shall have."""

    prompts: list[str]
    lengths: np.ndarray

    @classmethod
    def of(cls, member: Member, lengths: np.ndarray) -> "Work":
        """Random prompts, one for each length."""
        vocab_size = member.config.vocab_size
        return cls(sized.word_prompts(vocab_size, len(lengths), _PROMPT.value), lengths)


def _until(theta, carry, keys, logits, aux):
    del keys
    return carry, Choice(logits[0], stop=aux.step + 1 >= theta)


UNTIL = Combine(_until, name="until")
"""Ends each row after its own number of tokens, as an end token would."""


def ours(member: Member, work: Work, batch: int) -> Texts:
    sampling = Sampling(max_new_tokens=int(work.lengths.max()), temperature=0.0)
    requests = [Request.user(prompt) for prompt in work.prompts]
    theta = work.lengths.astype(np.int32)
    answers = Engine(width=batch).join([member], requests, sampling, UNTIL, theta)
    return [list(answer.tokens) for answer in answers]


class _Ends(transformers.StoppingCriteria):
    """Ends each row of a batch after its own number of tokens."""

    def __init__(self, lengths: np.ndarray):
        self.lengths = torch.tensor(lengths)

    def __call__(self, input_ids: torch.Tensor, scores: object, **_: object) -> torch.Tensor:
        return input_ids.shape[1] - _PROMPT.value >= self.lengths


@torch.inference_mode()
def theirs(model: transformers.PreTrainedModel, member: Member, work: Work, batch: int) -> Texts:
    texts: Texts = []
    for first in range(0, len(work.prompts), batch):
        chosen = slice(first, first + batch)
        tokens = member.tokenizer(work.prompts[chosen], return_tensors="pt")
        lengths = work.lengths[chosen]
        out = model.generate(
            input_ids=tokens["input_ids"],
            attention_mask=tokens["attention_mask"],
            max_new_tokens=int(lengths.max()),
            do_sample=False,
            pad_token_id=0,
            stopping_criteria=transformers.StoppingCriteriaList([_Ends(lengths)]),
        )
        answers = out[:, _PROMPT.value :].tolist()
        texts += [answer[:length] for answer, length in zip(answers, lengths, strict=True)]
    return texts


def compare(member: Member, model: transformers.PreTrainedModel, work: Work, batch: int) -> dict:
    texts: dict[str, Texts] = {}

    def keeping(name: str, run: Callable[[], Texts]) -> Callable[[], None]:
        return lambda: texts.__setitem__(name, run())

    found = timing.side_by_side(
        {
            "ours": keeping("ours", lambda: ours(member, work, batch)),
            "theirs": keeping("theirs", lambda: theirs(model, member, work, batch)),
        },
        _REPEATS.value,
    )
    count = int(work.lengths.sum())
    same = [
        a == b
        for one, other in zip(texts["ours"], texts["theirs"], strict=True)
        for a, b in zip(one, other, strict=True)
    ]
    return {
        "batch": batch,
        "requests": len(work.prompts),
        "ours, tokens/s": count / found["ours"].median,
        "transformers, tokens/s": count / found["theirs"].median,
        "times as fast": timing.speedup(found["theirs"], found["ours"]),
        "cold, s": found["ours"].cold,
        "same tokens": f"{np.mean(same):.1%}",
    }


def geometric(count: int, most: int) -> np.ndarray:
    """Lengths from 1 to `most` with a mean of about a quarter of it."""
    drawn = np.random.default_rng(0).geometric(4 / most, count)
    return np.minimum(drawn, most)


def main(_: list[str]) -> None:
    sizes = {"single": _SIZES.value, "single_geometric": _UNEVEN.value}
    batches, most, calls = [int(batch) for batch in _BATCHES.value], _MOST.value, _CALLS.value
    if _QUICK.value:
        sizes = {part: ["tiny"] for part in sizes}
        batches, most, calls = [2], 16, 2
    tables: dict[str, list[dict]] = {part: [] for part in _PARTS.value}
    for name in dict.fromkeys(name for part in tables for name in sizes[part]):
        member = sized.sized_member(sized.SIZES[name])
        with tempfile.TemporaryDirectory() as folder:
            member.save(folder)
            model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        model.generation_config.eos_token_id = None
        for batch in batches:
            lengths = {
                "single": np.full(batch, _NEW.value if not _QUICK.value else 8),
                "single_geometric": geometric(calls * batch, most),
            }
            for part, rows in tables.items():
                if name not in sizes[part]:
                    continue
                work = Work.of(member, lengths[part])
                rows.append({"size": name} | compare(member, model, work, batch))
                print(rows[-1], flush=True)
        del member, model
        jax.clear_caches()
    facts = timing.machine() | {"torch threads": str(torch.get_num_threads())}
    sections = [Section(name, table_of(rows), facts) for name, rows in tables.items()]
    print(publish(sections, _JSON.value))


if __name__ == "__main__":
    app.run(main)
