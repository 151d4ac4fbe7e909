"""An algorithm: a frozen dataclass of hyperparameters whose `fit` makes a System."""

import abc
import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from moco_jax.decoding.types import Response
from moco_jax.models.config import shape_mismatch
from moco_jax.models.memory import INT8
from moco_jax.pool import MemberInfo, shared_vocabulary
from moco_jax.system import Context, System
from moco_jax.tasks import Score, Split


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
        if self.same_architecture and dtype == INT8:
            raise NeedsError(
                f"{method} combines weights, and int8 weights are rounded to 255 steps per "
                "channel; run it with --dtype=float32, bfloat16 or float16"
            )
        if self.adapters:
            _check_adapters(method, members)
        if self.same_architecture:
            _check_architecture(method, members)
        if self.same_vocabulary:
            try:
                shared_vocabulary(members)
            except ValueError as error:
                raise NeedsError(f"{method} needs one vocabulary: {error}") from error


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

    A subclass validates its fields in `__post_init__` and names what is wrong.
    """

    name: ClassVar[str]
    needs: ClassVar[Needs] = Needs()

    def training_texts(self) -> Iterable[str]:
        """What the method trains on beyond the dev split: prompts and answers as texts.

        A run counts and reports the test questions that stand in them. A method that brings data
        of its own overrides this.
        """
        return ()

    @abc.abstractmethod
    def fit(self, bench: Workbench) -> System:
        """Learns from the dev split what it needs, and returns the system."""
