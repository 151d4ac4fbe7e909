"""What a run found, next to what its members do alone, and how sure that is."""

import collections
import dataclasses
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from moco_jax.decoding.types import Response
from moco_jax.runs import statistics
from moco_jax.runs.ledger import SCORE, Cost, Ledger, Totals
from moco_jax.runs.resolved import Resolved
from moco_jax.runs.statistics import Interval
from moco_jax.tasks import Score, Task, indices_in_texts, leaked_indices
from moco_jax.tasks.leakage import distinct_questions

Verdict = Literal["beats", "within noise of", "loses to"]


@dataclasses.dataclass(frozen=True)
class MemberScore:
    """Mean scores of one member alone: greedy on dev, with the run's sampling on test."""

    name: str
    dev: float
    test: float


@dataclasses.dataclass(frozen=True)
class HelperScore:
    """What a model that the method uses beside the members does alone, and how the method compares.

    Attributes:
        name: of the model.
        test: its mean test score, with the run's sampling.
        difference: the method's score minus its own, with its paired 95% interval.
        verdict: whether the method beats it, or loses to it, beyond the noise.
    """

    name: str
    test: float
    difference: Interval
    verdict: Verdict

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "HelperScore":
        """Restores what `dataclasses.asdict` made of it."""
        return cls(**record | {"difference": Interval(**record["difference"])})


@dataclasses.dataclass(frozen=True)
class Alone:
    """What single models are worth on the test split, each score parallel to the items.

    Attributes:
        dev: every member's mean dev score.
        members: their test scores, [member][item].
        helpers: (name, test scores) by role, of the models that the method uses beside them.
        greedy: test scores of the best member on dev when it decodes greedily; None where the run
            does.
    """

    dev: Sequence[float]
    members: Sequence[Sequence[Score]]
    helpers: Mapping[str, tuple[str, Sequence[Score]]] = dataclasses.field(default_factory=dict)
    greedy: Sequence[Score] | None = None


@dataclasses.dataclass(frozen=True)
class RunResult:
    """The outcome of one run.

    Attributes:
        method: its name.
        task: its name.
        seed: of the run.
        n: test items.
        score: mean test score.
        interval: 95% interval of `score`, clustered where items are grouped.
        temperature: at which test answers were sampled; 0 is greedy, as dev answers always are.
        best_single: the member that was best on dev; ties go to the earlier one.
        best_single_greedy: its test score when it decodes greedily, as it did on dev.
        difference: score minus the best single's, with its paired 95% interval.
        verdict: whether the method beats the best single, or loses to it, beyond the noise.
        hindsight: the member that was best on test, which nobody could have chosen.
        ceiling: mean over items of the best member's score; with right-or-wrong scores the share
            of items that some member solves.
        members: every member alone.
        helpers: the models that the method uses beside the members, alone, by role.
        outcomes: how many answers were correct, partial, wrong, unparsed, or just scored.
        unparsed: share of answers in which no answer was found.
        cut: share of answers that hit the length limit.
        over_length: share of items that were never run because the prompt did not fit.
        prompt_cut: share of prompts whose middle was cut.
        leaked: share of test items whose question also stands in dev.
        leaked_questions: how many different questions those are.
        trained_on: share of test items whose question stands in the method's own training data.
        cost: of fitting and answering: `attributed` as if alone, and really `spent`.
        comparison_cost: of the members' own answers, which are no cost of the method.
        judges: names of the models that judged the answers, by role.
        directory: where the run's files are.
        found: whether the run was finished before, so that nothing was computed now.
    """

    method: str
    task: str
    seed: int
    n: int
    score: float
    interval: tuple[float, float]
    temperature: float
    best_single: MemberScore
    best_single_greedy: float
    difference: Interval
    verdict: Verdict
    hindsight: MemberScore
    ceiling: float
    members: tuple[MemberScore, ...]
    helpers: dict[str, HelperScore]
    outcomes: dict[str, int]
    unparsed: float
    cut: float
    over_length: float
    prompt_cut: float
    leaked: float
    leaked_questions: int
    trained_on: float
    cost: Cost
    comparison_cost: Cost
    judges: dict[str, str]
    directory: pathlib.Path = dataclasses.field(compare=False)
    found: bool = dataclasses.field(default=False, compare=False)

    def to_record(self) -> dict[str, Any]:
        """What `result.json` holds."""
        record = dataclasses.asdict(self)
        del record["directory"], record["found"]
        return record

    @classmethod
    def from_record(cls, record: dict[str, Any], directory: pathlib.Path) -> "RunResult":
        """Restores what `to_record` wrote, found in `directory`."""
        fields = dict(record)
        fields["interval"] = tuple(fields["interval"])
        fields["difference"] = Interval(**fields["difference"])
        fields["members"] = tuple(MemberScore(**member) for member in fields["members"])
        fields["helpers"] = {
            role: HelperScore.from_record(one) for role, one in fields["helpers"].items()
        }
        for name in ("best_single", "hindsight"):
            fields[name] = MemberScore(**fields[name])
        for name in ("cost", "comparison_cost"):
            fields[name] = Cost(**{kind: Totals(**sums) for kind, sums in fields[name].items()})
        return cls(**fields, directory=directory, found=True)

    def __str__(self) -> str:
        low, high = self.interval
        best, change = self.best_single, self.difference
        done, spent = self.cost.attributed, self.cost.spent
        lines = [
            f"{self.method} on {self.task} ({self.n} test items, seed {self.seed})",
            f"  score        {self.score:.3f} [{low:.3f}, {high:.3f}]",
            f"  best single  {best.test:.3f}, {best.name} ({self.decoding()})",
            f"  difference   {change.mean:+.3f} [{change.low:+.3f}, {change.high:+.3f}]: "
            f"{self.verdict} the best single",
            *(f"  helper       {line}" for line in self._helpers_alone()),
            f"  hindsight    {self.hindsight.test:.3f}, {self.hindsight.name}; "
            f"ceiling {self.ceiling:.3f}",
            f"  answers      {self.unparsed:.1%} unparsed, {self.cut:.1%} cut, "
            f"{self.over_length:.1%} with too long a prompt",
            f"  cost         {done.flops:.2e} FLOPs, {done.prompt_tokens} tokens read, "
            f"{done.new_tokens} written, {done.seconds:.1f} s; spent {spent.seconds:.1f} s",
        ]
        if self.judges:
            lines.append(f"  judged by    {', '.join(self.judges.values())}")
        if self.leaked:
            lines.append(
                f"  beware       {round(self.leaked * self.n)} of {self.n} test items "
                f"({self.leaked_questions} questions) also stand in dev"
            )
        if self.trained_on:
            lines.append(
                f"  beware       {round(self.trained_on * self.n)} of {self.n} test items stand in "
                "what the method trained on"
            )
        return "\n".join([*lines, f"  files        {self.directory}"])

    def _helpers_alone(self) -> list[str]:
        return [
            f"{one.test:.3f}, its {role} {one.name} alone; the method {one.verdict} it, "
            f"{one.difference.mean:+.3f} [{one.difference.low:+.3f}, {one.difference.high:+.3f}]"
            for role, one in self.helpers.items()
        ]

    def decoding(self) -> str:
        """What the best single member scores on dev, and greedily on test where it is sampled."""
        dev = f"{self.best_single.dev:.3f} on dev"
        if self.temperature == 0:
            return dev
        return (
            f"{dev}, greedy; test sampled at T={self.temperature:g}, "
            f"{self.best_single_greedy:.3f} greedy"
        )


def summarise(
    resolved: Resolved,
    task: Task,
    responses: Sequence[Response],
    scores: Sequence[Score],
    alone: Alone,
    ledger: Ledger,
    directory: pathlib.Path,
    training_texts: Iterable[str] = (),
) -> RunResult:
    """Puts a run's result together.

    Args:
        resolved: what was run.
        task: its task.
        responses: the method's answers to the test items.
        scores: what they are worth.
        alone: what members and helpers are worth.
        ledger: what it cost.
        directory: where its files will be.
        training_texts: what the method trained on beyond dev.
    """
    leaked = leaked_indices(task)
    items = task.test.items
    groups = [item.group for item in items]
    ours = _values(scores)
    singles = [_values(theirs) for theirs in alone.members]
    names = [name for name, _ in resolved.members]
    members = tuple(map(MemberScore, names, alone.dev, map(_mean, singles)))
    best = list(alone.dev).index(max(alone.dev))
    difference, verdict = compared(ours, singles[best], groups)
    helpers = {}
    for role, (name, theirs) in alone.helpers.items():
        values = _values(theirs)
        helpers[role] = HelperScore(name, _mean(values), *compared(ours, values, groups))
    whole = statistics.mean_interval(ours, groups)
    return RunResult(
        method=resolved.method["name"],
        task=task.name,
        seed=resolved.config.seed,
        n=len(ours),
        score=whole.mean,
        interval=(whole.low, whole.high),
        temperature=resolved.config.sampling.temperature,
        best_single=members[best],
        best_single_greedy=_mean(_values(alone.greedy) if alone.greedy else singles[best]),
        difference=difference,
        verdict=verdict,
        hindsight=max(members, key=lambda member: member.test),
        ceiling=_mean([max(values) for values in zip(*singles, strict=True)]),
        members=members,
        helpers=helpers,
        outcomes=dict(sorted(collections.Counter(score.outcome for score in scores).items())),
        unparsed=_mean([score.outcome == "unparsed" for score in scores]),
        cut=_mean([response.finish == "length" for response in responses]),
        over_length=_mean([response.finish == "over_length" for response in responses]),
        prompt_cut=_mean([response.cut_tokens > 0 for response in responses]),
        leaked=len(leaked) / len(ours),
        leaked_questions=distinct_questions(items[index] for index in leaked),
        trained_on=len(indices_in_texts(items, training_texts)) / len(ours),
        cost=ledger.total(),
        comparison_cost=ledger.total(SCORE),
        judges={role: name for role, name, _ in resolved.judges},
        directory=directory,
    )


def compared(
    ours: Sequence[float], theirs: Sequence[float], groups: Sequence[str | None] | None = None
) -> tuple[Interval, Verdict]:
    """The paired difference of scores f64[n] for the same items, and what it says.

    Args:
        ours: of the method.
        theirs: of what it is compared with.
        groups: the cluster of each item; None: items stand alone.
    """
    difference = statistics.difference_interval(ours, theirs, groups)
    return difference, judge(difference, statistics.differing_clusters(ours, theirs, groups))


def judge(difference: Interval, differing: int) -> Verdict:
    """What a difference to a single model says, and that it says nothing when it is noise."""
    if differing < statistics.FEWEST_DIFFERING or difference.low <= 0 <= difference.high:
        return "within noise of"
    return "beats" if difference.mean > 0 else "loses to"


def _values(scores: Sequence[Score]) -> list[float]:
    return [score.value for score in scores]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
