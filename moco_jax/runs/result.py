"""What a run found, next to what its members do alone, and how sure that is."""

import collections
import dataclasses
import pathlib
from collections.abc import Iterable, Sequence
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
class RunResult:
    """The outcome of one run.

    Attributes:
        method: its name.
        task: its name.
        seed: of the run.
        n: test items.
        score: mean test score.
        interval: 95% interval of `score`, clustered where items are grouped.
        best_single: the member that was best on dev; ties go to the earlier one.
        difference: score minus the best single's, with its paired 95% interval.
        verdict: whether the method beats the best single, or loses to it, beyond the noise.
        hindsight: the member that was best on test, which nobody could have chosen.
        ceiling: mean over items of the best member's score; with right-or-wrong scores the share
            of items that some member solves.
        members: every member alone.
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
    best_single: MemberScore
    difference: Interval
    verdict: Verdict
    hindsight: MemberScore
    ceiling: float
    members: tuple[MemberScore, ...]
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
            f"  best single  {best.test:.3f}, {best.name} ({best.dev:.3f} on dev)",
            f"  difference   {change.mean:+.3f} [{change.low:+.3f}, {change.high:+.3f}]: "
            f"{self.verdict} the best single",
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


def summarise(
    resolved: Resolved,
    task: Task,
    responses: Sequence[Response],
    scores: Sequence[Score],
    dev: Sequence[float],
    singles: Sequence[Sequence[Score]],
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
        dev: every member's mean dev score.
        singles: every member's own test scores, [member][item].
        ledger: what it cost.
        directory: where its files will be.
        training_texts: what the method trained on beyond dev.
    """
    leaked = leaked_indices(task)
    items = task.test.items
    groups = [item.group for item in items]
    ours = [score.value for score in scores]
    alone = [[score.value for score in theirs] for theirs in singles]
    names = [name for name, _ in resolved.members]
    members = tuple(map(MemberScore, names, dev, map(_mean, alone)))
    best = list(dev).index(max(dev))
    difference = statistics.difference_interval(ours, alone[best], groups)
    whole = statistics.mean_interval(ours, groups)
    return RunResult(
        method=resolved.method["name"],
        task=task.name,
        seed=resolved.config.seed,
        n=len(ours),
        score=whole.mean,
        interval=(whole.low, whole.high),
        best_single=members[best],
        difference=difference,
        verdict=judge(difference, statistics.differing_clusters(ours, alone[best], groups)),
        hindsight=max(members, key=lambda member: member.test),
        ceiling=_mean([max(values) for values in zip(*alone, strict=True)]),
        members=members,
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


def judge(difference: Interval, differing: int) -> Verdict:
    """What a difference to the best single says, and that it says nothing when it is noise."""
    if differing < statistics.FEWEST_DIFFERING or difference.low <= 0 <= difference.high:
        return "within noise of"
    return "beats" if difference.mean > 0 else "loses to"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
