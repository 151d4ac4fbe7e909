"""What the report's item browser shows, as compact JSON: each text is held once."""

import json
from collections.abc import Sequence
from typing import Any

from moco_jax.analysis.benches import Bench
from moco_jax.analysis.load import Row

MEMBER, METHOD = "member", "method"


class Strings:
    """Texts by number; a text that comes again gets the number it had."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def __call__(self, text: str) -> int:
        """The number of a text."""
        return self._numbers.setdefault(text, len(self._numbers))

    @property
    def all(self) -> list[str]:
        """The texts in the order of their numbers."""
        return list(self._numbers)


def payload(benches: Sequence[Bench]) -> dict[str, Any]:
    """All items of all benches with everyone's answers.

    Returns:
        `strings`, and `benches` whose texts are numbers of strings. An answer is `[text,
        reasoning, parsed or null, outcome, finish, score, speaker, notes, turns]`.
    """
    strings = Strings()
    described = [_bench(bench, strings) for bench in benches]
    return {"strings": strings.all, "benches": described}


def _bench(bench: Bench, strings: Strings) -> dict[str, Any]:
    rows = zip(bench.first.answers, bench.golds, strict=True)
    return {
        "title": bench.first.result.task,
        "pool": bench.members,
        "best": bench.first.result.best_single.name,
        "seeds": bench.seeds,
        "items": [
            {"id": row["id"], "prompt": strings(row["prompt"]), "gold": list(gold)}
            for row, gold in rows
        ],
        "voices": [*_members(bench, strings), *_methods(bench, strings)],
    }


def _members(bench: Bench, strings: Strings) -> list[dict[str, Any]]:
    """The members' own answers, once per seed."""
    return [
        {
            "name": name,
            "kind": MEMBER,
            "seed": seed,
            "answers": [_answer(row, (), strings) for row in run.singles[name]],
        }
        for seed, run in bench.by_seed.items()
        for name in bench.members
    ]


def _methods(bench: Bench, strings: Strings) -> list[dict[str, Any]]:
    return [
        {
            "name": standing.contender.label,
            "kind": METHOD,
            "seed": run.seed,
            "answers": [
                _answer(row, turns, strings)
                for row, turns in zip(run.answers, run.transcripts, strict=True)
            ],
        }
        for standing in bench.standings
        for run in standing.contender.runs
    ]


def _answer(row: Row, turns: Sequence[Row], strings: Strings) -> list[Any]:
    return [
        strings(row["response"]),
        strings(row["reasoning"]),
        None if row["parsed"] is None else strings(row["parsed"]),
        row["outcome"],
        row["finish"],
        row["score"],
        strings(row["speaker"]),
        [[strings(name), strings(_shown(value))] for name, value in row["notes"].items()],
        [
            [strings(turn["speaker"]), strings(turn["role"]), strings(turn["text"])]
            for turn in turns
        ],
    ]


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def script_json(value: Any) -> str:
    """JSON that may stand inside a `<script>` element, whatever the texts in it are.

    Nothing in it can end the element or open a comment: `<`, `>` and `&` are spelled as escapes,
    and so are the line separators that JavaScript once took for line ends.
    """
    plain = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    for character in "<>&\u2028\u2029":
        plain = plain.replace(character, f"\\u{ord(character):04x}")
    # Half of a surrogate pair can stand in JSON, but not in a file of UTF-8.
    return plain.encode("utf-8", "backslashreplace").decode()
