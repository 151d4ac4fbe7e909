"""The rows of a run's files, made from items, responses and scores."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from moco_jax.decoding.types import Response
from moco_jax.tasks import Item, Score

Row = dict[str, Any]


def answer(item: Item, response: Response, score: Score) -> Row:
    """One answer and what it is worth; the gold answer is not in it."""
    return {
        "id": item.id,
        "group": item.group,
        "prompt": item.prompt,
        "response": response.text,
        "reasoning": response.reasoning,
        "parsed": score.parsed,
        "outcome": score.outcome,
        "finish": response.finish,
        "score": score.value,
        "speaker": response.speaker,
        "cut_tokens": response.cut_tokens,
        "notes": dict(response.notes),
        "usage": dataclasses.asdict(response.usage),
    }


def answers(
    items: Sequence[Item], responses: Sequence[Response], scores: Sequence[Score]
) -> Iterator[Row]:
    """The rows of `responses.jsonl`, in the task's order."""
    return map(answer, items, responses, scores)


def transcripts(items: Sequence[Item], responses: Sequence[Response]) -> Iterator[Row]:
    """The rows of `transcripts.jsonl`, in the task's order."""
    for item, response in zip(items, responses, strict=True):
        yield {"id": item.id, "turns": [dataclasses.asdict(turn) for turn in response.transcript]}


def singles(
    names: Sequence[str],
    items: Sequence[Item],
    responses: Sequence[Sequence[Response]],
    scores: Sequence[Sequence[Score]],
) -> Iterator[Row]:
    """The rows of `singles.jsonl`: every member's own answer, [item][member].

    Args:
        names: of the members.
        items: of the test split.
        responses: [member][item].
        scores: [member][item].
    """
    for place, item in enumerate(items):
        for name, theirs, worth in zip(names, responses, scores, strict=True):
            yield {"member": name, **answer(item, theirs[place], worth[place])}
