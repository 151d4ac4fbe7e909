"""A base model writes; where it is unsure, an aligned model puts in the next words."""

import dataclasses
from collections.abc import Sequence
from typing import ClassVar, Literal

from absl import logging

from moco_jax.decoding.types import Request, Response, Sampling
from moco_jax.method import Method, Needs, NeedsError, TaskInfo, Workbench
from moco_jax.methods.api import nudge_tokens, nudge_turns
from moco_jax.methods.checks import one_of, within
from moco_jax.models.tokenizer import shared_vocabulary
from moco_jax.pool import MemberInfo
from moco_jax.system import Context, System, question
from moco_jax.tasks import Item


@dataclasses.dataclass(frozen=True)
class Nudged(System):
    """Two members write each answer by turns.

    Attributes:
        base: index of the member that writes where it is sure.
        nudger: index of the member that writes elsewhere.
        gamma: how likely the base's first choice must be for it to be sure.
        base_end: "stop" or "nudge".
        agreement: whether the base also takes over where both want the same.
        dev_score: mean dev score of this pair and gamma, where they were searched for.
    """

    base: int
    nudger: int
    gamma: float
    base_end: str
    agreement: bool
    dev_score: float | None = None

    def respond(self, items: Sequence[Item], context: Context) -> list[Response]:
        """One answer per item."""
        asks = [(question(item), self.gamma) for item in items]
        chosen = (("gamma", self.gamma), ("nudger", context.pool[self.nudger].name))
        said = self.write(asks, context)
        return [response.replace(notes=(*chosen, *response.notes)) for response in said]

    def write(
        self,
        asks: Sequence[tuple[Request, float]],
        context: Context,
        sampling: Sampling | None = None,
    ) -> list[Response]:
        """One answer per (request, gamma), by tokens where the vocabulary is one."""
        pair = self.base, self.nudger
        way = nudge_tokens if one_vocabulary(context, pair) else nudge_turns
        return way.write(context, pair, asks, self.base_end == "stop", self.agreement, sampling)


def one_vocabulary(context: Context, pair: Sequence[int]) -> bool:
    """Whether the members of a pair map token ids to the same strings, their end tokens included.

    A vocabulary may go on longer, but an end token beyond the shared part could never be written.
    """
    members = [context.pool[index] for index in pair]
    try:
        shared = shared_vocabulary([member.tokenizer for member in members])
    except ValueError:
        return False
    shared = min(shared, *(member.config.vocab_size for member in members))
    return all(end < shared for member in members for end in member.eos)


@dataclasses.dataclass(frozen=True)
class Nudging(Method):
    """A base model writes as long as it is sure; elsewhere an aligned one writes the next words.

    The nudger begins, and writes whole words: at each token that would begin a new one, and after
    each token of the base, the probability of the base's first choice decides who goes on. Members
    of one vocabulary read every token together; others take turns on the text.

    Source: Nudging, arXiv 2410.09300.

    Cost: one generation per item in which both members take part; with `search_gamma` or
    `search_nudging` one such generation per dev item for every value of gamma and every nudger.

    Departures: both members' caches follow the text, where the reference reads it anew for every
    token. The run's sampling filters apply, all whitespace ends a word and any end token of the two
    ends the answer. A search decodes greedily, and its ties go to the configured values (the
    reference falls back to the last ones it tried). `base_end`, `agreement` and `gamma_grid` are
    additions; their defaults are what the reference does, the paper's authors use "nudge" and
    agreement.

    Attributes:
        gamma: the base is sure where its most likely token has at least this probability.
        base_model_id: index of the base.
        nudging_model_id: index of the nudger.
        search_gamma: takes the value of `gamma_grid` with the best dev score.
        search_nudging: takes the nudger with the best dev score among all members but the base.
        gamma_grid: what `search_gamma` tries.
        base_end: an end token of the base: "stop" ends the answer, "nudge" gives the word to the
            nudger, who alone may end it.
        agreement: at the end of a word the base also takes over where both members want the same
            next token.
    """

    name: ClassVar[str] = "api_nudging"
    needs: ClassVar[Needs] = Needs(members=2)

    gamma: float = 0.4
    base_model_id: int = 0
    nudging_model_id: int = 1
    search_gamma: bool = False
    search_nudging: bool = False
    gamma_grid: tuple[float, ...] = (0.2, 0.3, 0.4, 0.5)
    base_end: Literal["stop", "nudge"] = "stop"
    agreement: bool = False

    def __post_init__(self) -> None:
        within(self, "gamma", 0)
        within(self, "base_model_id", 0)
        within(self, "nudging_model_id", 0)
        if self.base_model_id == self.nudging_model_id and not self.search_nudging:
            raise ValueError(
                f"{self.name}: nudging_model_id is {self.nudging_model_id}, which is the base; "
                "it must be another member"
            )
        if not self.gamma_grid or min(self.gamma_grid) < 0:
            raise ValueError(
                f"{self.name}: gamma_grid is {self.gamma_grid!r}; it must hold at least one "
                "number, and none below 0"
            )
        one_of(self, "base_end", ("stop", "nudge"))

    def check(self, infos: Sequence[MemberInfo], task: TaskInfo) -> None:
        """Members that are named are there."""
        super().check(infos, task)
        named = ("base_model_id",) if self.search_nudging else ("base_model_id", "nudging_model_id")
        for field in named:
            if getattr(self, field) >= len(infos):
                raise NeedsError(
                    f"{self.name}: {field} is {getattr(self, field)}; it must be at most "
                    f"{len(infos) - 1}, the last member of the pool"
                )

    def fit(self, bench: Workbench) -> System:
        """Searches gamma and the nudger on dev, where asked to."""
        if not (self.search_gamma or self.search_nudging):
            return self._system(self.nudging_model_id, self.gamma)
        gammas = self.gamma_grid if self.search_gamma else (self.gamma,)
        nudgers = [self.nudging_model_id]
        if self.search_nudging:
            nudgers = [index for index in range(len(bench.pool)) if index != self.base_model_id]
        tried = [found for nudger in nudgers for found in self._try(bench, nudger, gammas)]
        return max(
            tried,
            key=lambda found: (
                found.dev_score,
                found.nudger == self.nudging_model_id,
                found.gamma == self.gamma,
            ),
        )

    def _system(self, nudger: int, gamma: float, dev_score: float | None = None) -> Nudged:
        pair = self.base_model_id, nudger
        return Nudged(*pair, gamma, self.base_end, self.agreement, dev_score)

    def _try(self, bench: Workbench, nudger: int, gammas: Sequence[float]) -> list[Nudged]:
        """One system per gamma with its greedy dev score; all items of all of them in one batch."""
        items = bench.dev.items
        asks = [(question(item, purpose="dev"), gamma) for gamma in gammas for item in items]
        said = self._system(nudger, self.gamma).write(asks, bench, bench.sampling.with_greedy())
        rows = [said[start : start + len(items)] for start in range(0, len(said), len(items))]
        scores = [bench.mean_dev_score(row) for row in rows]
        name = bench.pool[nudger].name
        logging.info("%s: %s with gamma %s scores %s on dev", self.name, name, gammas, scores)
        pairs = zip(gammas, scores, strict=True)
        return [self._system(nudger, gamma, score) for gamma, score in pairs]
