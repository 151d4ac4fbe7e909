"""An algorithm: a frozen dataclass of hyperparameters whose `fit` makes a System."""

import abc
import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ClassVar

from moco_jax.decoding.types import Response
from moco_jax.models.config import shape_mismatch
from moco_jax.models.memory import INT8
from moco_jax.pool import MemberInfo, shared_vocabulary
from moco_jax.system import Context, System
from moco_jax.tasks import Score, Split, Task


class NeedsError(ValueError):
    """The pool or the task does not meet what a method needs."""


@dataclasses.dataclass(frozen=True)
class Needs:
    """What a method asks of its pool and task; checked before weights are read.

    Attributes:
        members: smallest number of members.
        at_most: largest number of members.
        same_architecture: the tensors of all members have one shape, so that weights can be
            combined.
        same_vocabulary: all members map token ids to the same strings.
        adapters: all members are LoRA adapters over one base.
        kinds: task kinds it can serve; empty means all.
    """

    members: int = 1
    at_most: int | None = None
    same_architecture: bool = False
    same_vocabulary: bool = False
    adapters: bool = False
    kinds: tuple[str, ...] = ()

    def check(self, method: str, members: Sequence[MemberInfo], kind: str, dtype: str = "") -> None:
        """Raises NeedsError naming the member, task kind or dtype that breaks a need, and why."""
        if len(members) < self.members:
            raise NeedsError(
                f"{method} needs at least {self.members} members; the pool has {len(members)}. "
                "Add members with --models."
            )
        if self.at_most is not None and len(members) > self.at_most:
            raise NeedsError(
                f"{method} takes at most {self.at_most} member(s); the pool has {len(members)}. "
                "Pass fewer with --models."
            )
        if self.kinds and kind not in self.kinds:
            raise NeedsError(
                f"{method} serves tasks of kind {', '.join(self.kinds)}; this one is {kind}"
            )
        self.check_dtype(method, dtype)
        if self.adapters:
            _check_adapters(method, members)
        if self.same_architecture:
            _check_architecture(method, members)
        if self.same_vocabulary:
            try:
                shared_vocabulary(members)
            except ValueError as error:
                raise NeedsError(f"{method} needs one vocabulary: {error}") from error

    def check_dtype(self, method: str, dtype: str) -> None:
        """Raises NeedsError where the type of the weights breaks a need."""
        if self.same_architecture and dtype == INT8:
            raise NeedsError(
                f"{method} combines weights, and int8 weights are rounded to 255 steps per "
                "channel; run it with --dtype=float32, bfloat16 or float16"
            )


def _check_adapters(method: str, members: Sequence[MemberInfo]) -> None:
    first = members[0]
    for one in members:
        if not one.adapter:
            raise NeedsError(
                f"{method} combines LoRA adapters, and {one.name} is a whole model; pass "
                "directories of adapters with --models"
            )
        if one.path != first.path:
            raise NeedsError(
                f"{method} combines LoRA adapters over one base: {one.name} stands over "
                f"{one.path}, {first.name} over {first.path}"
            )


def _check_architecture(method: str, members: Sequence[MemberInfo]) -> None:
    first = members[0]
    for other in members[1:]:
        found = shape_mismatch(first.config, other.config)
        if found is not None:
            raise NeedsError(
                f"{method} combines weights, so all members need one architecture: {other.name} "
                f"has {found.setting} {found.theirs!r}, {first.name} has {found.ours!r}."
                f"{found.remedy} Routing, text and (with one vocabulary) logit methods take mixed "
                "pools."
            )


@dataclasses.dataclass(frozen=True)
class TaskInfo:
    """What a method may know of a task before a run; no test item stands in it.

    Attributes:
        name: of the task.
        kind: how its answers are read and scored.
        dev: the dev items with their golds.
        test_size: how many test items there are.
    """

    name: str
    kind: str
    dev: Split
    test_size: int

    @classmethod
    def of(cls, task: Task) -> "TaskInfo":
        """What may be known of a task."""
        return cls(task.name, task.kind, task.dev, len(task.test))


@dataclasses.dataclass(frozen=True)
class Workbench(Context):
    """What `fit` works with: a context, plus the dev split as a value. It has no test split.

    Attributes:
        dev: dev items with their golds.
        scorer: scores outputs for given dev indices.
    """

    dev: Split
    scorer: Callable[[Sequence[int], Sequence[str]], list[Score]]

    def score_dev(self, responses: Sequence[Response]) -> list[Score]:
        """Scores one response per dev item."""
        return self.scorer(range(len(self.dev.items)), [response.text for response in responses])

    def mean_dev_score(self, responses: Sequence[Response]) -> float:
        """Mean score of one response per dev item."""
        scores = self.score_dev(responses)
        return math.fsum(score.value for score in scores) / len(scores)

    def dev_responses(self) -> list[list[Response]]:
        """Every member's greedy answer to every dev item, [member][item]; cached by the store."""
        greedy = self.sampling.with_greedy()
        return [
            self.answer(index, self.dev.items, sampling=greedy, purpose="dev")
            for index in range(len(self.pool))
        ]

    @functools.cached_property
    def _dev_scores(self) -> tuple[float, ...]:
        return tuple(self.mean_dev_score(responses) for responses in self.dev_responses())

    def dev_scores(self) -> tuple[float, ...]:
        """Every member's mean dev score with greedy decoding: one policy for all rankings."""
        return self._dev_scores

    def best(self) -> int:
        """Index of the best member on dev; ties go to the earlier one."""
        scores = self.dev_scores()
        return scores.index(max(scores))

    def ranking(self) -> list[int]:
        """Member indices, best on dev first; ties keep pool order."""
        scores = self.dev_scores()
        return sorted(range(len(scores)), key=lambda index: -scores[index])


@dataclasses.dataclass(frozen=True)
class Method(abc.ABC):
    """Base of all methods. Fields of subclasses are hyperparameters with their defaults.

    A subclass validates its fields in `__post_init__` and names what is wrong; what depends on the
    pool or the task it validates in `check`.
    """

    name: ClassVar[str]
    needs: ClassVar[Needs] = Needs()

    def training_texts(self) -> Iterable[str]:
        """What the method trains on beyond the dev split: prompts and answers as texts.

        A run counts and reports the test questions that stand in them. A method that brings data
        of its own overrides this.
        """
        return ()

    def helpers(self) -> dict[str, str]:
        """Names, by role, of the models that the method uses beside the members it combines.

        Each is a member of the pool by its name, or whatever `Pool.load` takes, and `Pool.find`
        gives it. They are checked before a run, count in plans and in the run's identity, and
        answer the test items alone beside the members. A method that has some overrides this.
        """
        return {}

    def check(self, infos: Sequence[MemberInfo], task: TaskInfo) -> None:
        """Refuses a pool or a task that the hyperparameters do not go with, before a run.

        A method whose hyperparameters depend on either overrides this and calls it first.

        Args:
            infos: the members, whose weights are not read yet.
            task: what may be known of it.

        Raises:
            NeedsError: with the method, the reason and the remedy.
        """
        self.needs.check(self.name, infos, task.kind)

    def check_helpers(self, infos: Sequence[MemberInfo], helpers: Mapping[str, MemberInfo]) -> None:
        """Refuses helpers that do not go with the pool.

        By default those of another architecture than the members', where theirs have to be one.

        Args:
            infos: the members.
            helpers: what is known of the models that `helpers` names, by role; of one that is a
                member, its place in `infos`.

        Raises:
            NeedsError: with the method, the reason and the remedy.
        """
        if self.needs.same_architecture:
            _check_architecture(self.name, [infos[0], *helpers.values()])

    @abc.abstractmethod
    def fit(self, bench: Workbench) -> System:
        """Learns from the dev split what it needs, and returns the system."""
