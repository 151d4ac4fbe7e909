"""How each sort of judge arrives at its values. Every value depends on its own case alone."""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging

from moco_jax.decoding.buckets import PREFILL_ROWS, power_bucket
from moco_jax.decoding.call import place_of
from moco_jax.decoding.engine import WIDEST, Engine
from moco_jax.decoding.hooks import Charge, Meter, Store
from moco_jax.decoding.keys import digest
from moco_jax.decoding.render import check_ids
from moco_jax.decoding.types import Request, Sampling, Usage
from moco_jax.models.cost import generation_flops
from moco_jax.models.encoder import SentenceEncoder
from moco_jax.models.heads import score_sequences
from moco_jax.pool import Member
from moco_jax.runs.encoders import identity_of
from moco_jax.tasks import Case, Judge

JUDGEMENT_VERSION = 1
"""Raise it when the same case may come out with another value."""

VERDICT = Sampling(max_new_tokens=1024, temperature=0.0, overflow="truncate")
DECISION = re.compile(r"final decision\W{0,8}(yes|no)\b", re.IGNORECASE)
CHUNK = 32
"""Cases that are embedded, and then kept, together."""

_score = jax.jit(score_sequences, static_argnums=0)


def verdict(member: Member, store: Store, meter: Meter) -> Judge:
    """A verifier: 1.0 where the last decision it writes is yes, else 0.0."""

    def judge(cases: Sequence[Case]) -> list[float]:
        # A fixed width: what a reply is kept under does not depend on how many are asked for
        engine = Engine(width=WIDEST, store=store, meter=meter)
        requests = [Request.user(verdict_prompt(case), purpose="verdict") for case in cases]
        replies = engine.ask([member] * len(requests), requests, VERDICT)
        found = [last_decision(reply.text) for reply in replies]
        if None in found:
            logging.warning(
                "%s came to no decision on %d of %d answers, which count as wrong",
                member.name,
                found.count(None),
                len(found),
            )
        return [float(decision or False) for decision in found]

    return judge


def verdict_prompt(case: Case) -> str:
    """What a verifier is asked. Values stand in it as they are, braces included."""
    return (
        f"### Question: {case.question}\n\n"
        f"### Ground Truth Answer: {' or '.join(case.references)}\n\n"
        f"### Student Answer: {case.answer}\n\n"
        "Compare the student's answer with the ground truth answer above, and do not solve the "
        'question yourself. If the two are equivalent, end with "Final Decision: Yes"; '
        'if they are not, end with "Final Decision: No".'
    )


def last_decision(text: str) -> bool | None:
    """What a reply decides in the end; None where it decides nothing."""
    found = DECISION.findall(text)
    return found[-1].lower() == "yes" if found else None


def reward(member: Member, store: Store, meter: Meter) -> Judge:
    """A reward model: the score of the conversation of question and answer."""

    def judge(cases: Sequence[Case]) -> list[float]:
        rows = [_conversation(member, case) for case in cases]
        keys = [digest("reward", JUDGEMENT_VERSION, *place_of(member), row) for row in rows]

        def usage(index: int) -> Usage:
            count = len(rows[index])
            return Usage(count, 0, 1, generation_flops(member.config, count, 0))

        def compute(places: Sequence[int]) -> Iterator[tuple[int, float]]:
            return _rewards(member, {place: rows[place] for place in places})

        return _kept(
            keys,
            compute,
            store,
            lambda place, seconds, cached: meter(
                Charge(member.name, "reward", usage(place), seconds, cached)
            ),
        )

    return judge


def _conversation(member: Member, case: Case) -> np.ndarray:
    tokens = member.template.conversation([("user", case.question), ("assistant", case.answer)])
    check_ids(member, tokens, "a conversation")
    limit = member.config.max_positions
    if len(tokens) > limit:
        logging.warning("%s reads %d tokens; %d are cut", member.name, limit, len(tokens) - limit)
        tokens = tokens[: limit // 2] + tokens[len(tokens) - (limit - limit // 2) :]
    return np.array(tokens, np.int32)


def _rewards(member: Member, rows: dict[int, np.ndarray]) -> Iterator[tuple[int, float]]:
    """Rewards of rows, in shapes that follow from each row's own length."""
    buckets: dict[int, list[int]] = {}
    for place, row in rows.items():
        buckets.setdefault(power_bucket(len(row)), []).append(place)
    for size, places in sorted(buckets.items()):
        for first in range(0, len(places), PREFILL_ROWS):
            part = places[first : first + PREFILL_ROWS]
            tokens = np.zeros((PREFILL_ROWS, size), np.int32)
            positions = np.full((PREFILL_ROWS, size), -1, np.int32)
            for line, place in enumerate(part):
                tokens[line, : len(rows[place])] = rows[place]
                positions[line, : len(rows[place])] = np.arange(len(rows[place]))
            found = _score(
                member.config, member.params, jnp.asarray(tokens), jnp.asarray(positions)
            )
            yield from zip(part, np.asarray(found)[:, 0].tolist(), strict=False)


def diversity(encoder: SentenceEncoder, store: Store, meter: Meter) -> Judge:
    """An embedding model: 1 minus the mean cosine similarity of an answer to its references.

    A text is the mean of its own tokens' features, padding left out. Those of references are
    computed once.
    """
    known: dict[str, np.ndarray] = {}
    place = [identity_of(encoder), jax.default_backend()]
    weights = _layer_weights(encoder)

    def judge(cases: Sequence[Case]) -> list[float]:
        keys = [
            digest("diversity", JUDGEMENT_VERSION, *place, case.answer, case.references)
            for case in cases
        ]

        def compute(places: Sequence[int]) -> Iterator[tuple[int, float]]:
            for first in range(0, len(places), CHUNK):
                part = places[first : first + CHUNK]
                fresh = {text for place in part for text in cases[place].references} - known.keys()
                known.update(zip(sorted(fresh), _embed(encoder, sorted(fresh)), strict=True))
                vectors = _embed(encoder, [cases[place].answer for place in part])
                for index, vector in zip(part, vectors, strict=True):
                    against = np.stack([known[text] for text in cases[index].references])
                    yield index, 1.0 - float((against @ vector).mean())

        def charge(index: int, seconds: float, cached: bool) -> None:
            count = _length(encoder, cases[index].answer)
            usage = Usage(count, 0, 1, 2.0 * weights * count)
            meter(Charge("embedding_model", "diversity", usage, seconds, cached))

        return _kept(keys, compute, store, charge)

    return judge


def _embed(encoder: SentenceEncoder, texts: Sequence[str]) -> list[np.ndarray]:
    """Unit vectors f32[D]; texts of one width go together, so none depends on the others."""
    buckets: dict[int, list[int]] = {}
    for index, text in enumerate(texts):
        buckets.setdefault(power_bucket(_length(encoder, text)), []).append(index)
    found: dict[int, np.ndarray] = {}
    for indices in buckets.values():
        vectors = encoder([texts[index] for index in indices])
        found |= zip(indices, vectors.astype(np.float64), strict=True)
    return [found[index] for index in range(len(texts))]


def _length(encoder: SentenceEncoder, text: str) -> int:
    limit = encoder.config.max_positions
    return len(encoder.tokenizer(text, truncation=True, max_length=limit)["input_ids"])


def _layer_weights(encoder: SentenceEncoder) -> int:
    layers = [leaves for name, leaves in encoder.params.items() if name.startswith("layer_")]
    return sum(leaf.size for leaf in jax.tree.leaves(layers))


def _kept(
    keys: Sequence[str],
    compute: Callable[[Sequence[int]], Iterator[tuple[int, float]]],
    store: Store,
    charge: Callable[[int, float, bool], Any],
) -> list[float]:
    """Values from the store, and the others computed, each kept before the next."""
    first = {key: place for place, key in reversed(list(enumerate(keys)))}
    records = {key: store.get(key) for key in first}
    fresh = {place for key, place in first.items() if not records[key]}
    mark = time.monotonic()
    for place, value in compute(sorted(fresh)) if fresh else ():
        now = time.monotonic()
        records[keys[place]] = record = {"value": value, "seconds": now - mark}
        mark = now
        store.put(keys[place], record)
    found = []
    for place, key in enumerate(keys):
        record = records[key] or {}
        again = place != first[key] or bool(record.get("cached", True))
        charge(place, record["seconds"], place not in fresh and again)
        found.append(record["value"])
    return found
