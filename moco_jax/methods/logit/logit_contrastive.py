"""What good members know better than bad ones is added to one member's predictions."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

from absl import logging

from moco_jax.method import Method, Needs, NeedsError, TaskInfo, Workbench
from moco_jax.methods.checks import within
from moco_jax.methods.logit.fusion import Fusion
from moco_jax.pool import MemberInfo
from moco_jax.system import System

Named = int | str
"""A member of the pool: its index, or its name."""


@dataclasses.dataclass(frozen=True)
class Roles:
    """Who does what, as indices into the pool.

    Attributes:
        base: whose predictions are steered.
        experts: what they say is added.
        antis: what they say is taken away.
    """

    base: int
    experts: tuple[int, ...]
    antis: tuple[int, ...]

    def weights(self, size: int, strength: float) -> tuple[float, ...]:
        """Of all members' logits, for a pool of `size`; they sum to 1."""
        weights = [0.0] * size
        weights[self.base] = 1.0
        for expert, anti in zip(self.experts, self.antis, strict=True):
            weights[expert] += strength
            weights[anti] -= strength
        return tuple(weights)


@dataclasses.dataclass(frozen=True)
class LogitContrastive(Method):
    """Draws from `base + lambda * sum(expert_i - anti_expert_i)`, in logits.

    Source: DExperts, arXiv 2105.03023, and proxy tuning, arXiv 2401.08565; the cut is that of
    contrastive decoding, arXiv 2210.15097.

    Cost: one generation per item, in which only members take part whose weight is not 0; and the
    members' dev passes, unless expert and anti-expert are given.

    Departures: attention is masked, special tokens are not doubled, top-p holds, and each member
    reads the question in its own chat template. Where the two groups would overlap (2k above the
    number of members) the reference loads members whose weights cancel; here that is refused. In
    log-probabilities the formula gives the same distribution, as each member's normaliser shifts
    all tokens alike, so there is no choice of space. `plausibility_alpha`, `base`, `expert` and
    `anti_expert` are additions.

    Attributes:
        k: how many experts (the best on dev) and anti-experts (the worst on dev) there are.
        lambda_: how strongly they steer. The papers use 1 and more.
        plausibility_alpha: a token is never written that the base finds less likely than this
            share of the token it finds most likely; 0 cuts nothing, the paper uses 0.1.
        base: the member that is steered, by index or name, which then is neither expert nor
            anti-expert unless named so (proxy tuning); null is the first expert.
        expert: a member by index or name, instead of the best on dev; needs `anti_expert`, and
            k=1.
        anti_expert: its counterpart.
    """

    name: ClassVar[str] = "logit_logit_contrastive"
    needs: ClassVar[Needs] = Needs(members=2, same_vocabulary=True)

    k: int = 1
    lambda_: float = 0.2
    plausibility_alpha: float = 0.0
    base: Named | None = None
    expert: Named | None = None
    anti_expert: Named | None = None

    def __post_init__(self) -> None:
        within(self, "k", 1)
        within(self, "lambda_", 0)
        within(self, "plausibility_alpha", 0, 1)
        if (self.expert is None) != (self.anti_expert is None):
            missing = "expert" if self.expert is None else "anti_expert"
            raise ValueError(f"{self.name}: {missing} is null; give both or neither")
        if self.expert is not None and self.expert == self.anti_expert:
            raise ValueError(
                f"{self.name}: expert is {self.expert!r}, and so is anti_expert; they would cancel"
            )
        if self.expert is not None and self.k != 1:
            raise ValueError(f"{self.name}: k is {self.k!r}; with an expert given it must be 1")

    def check(self, infos: Sequence[MemberInfo], task: TaskInfo) -> None:
        """Members that are named are there, and there are enough to rank."""
        super().check(infos, task)
        names = [info.name for info in infos]
        if self._named(names) is not None:
            return
        base = None if self.base is None else self._find("base", names)
        others = len(names) - (base is not None)
        if 2 * self.k > others:
            besides = "" if base is None else f" besides the base {names[base]}"
            raise NeedsError(
                f"{self.name}: k is {self.k}, which takes {2 * self.k} members; the pool has "
                f"{others}{besides}. Lower k or add members with --models."
            )

    def fit(self, bench: Workbench) -> System:
        """Assigns the roles, from the dev scores where they are not given."""
        names = bench.pool.names
        roles = self._named(names)
        notes: list[tuple[str, Any]] = []
        if roles is None:
            roles, scores = self._ranked(bench), bench.dev_scores()
            ranking = tuple((names[who], scores[who]) for who in bench.ranking())
            notes.append(("ranking", ranking))
        notes.append(("base", names[roles.base]))
        notes.append(("experts", tuple(names[who] for who in roles.experts)))
        notes.append(("anti_experts", tuple(names[who] for who in roles.antis)))
        logging.info("%s: %s", self.name, notes)
        return Fusion(
            roles.weights(len(names), self.lambda_),
            judge=roles.base,
            alpha=self.plausibility_alpha,
            notes=tuple(notes),
        )

    def _named(self, names: Sequence[str]) -> Roles | None:
        """The roles where nothing has to be ranked."""
        if self.expert is None or self.anti_expert is None:
            return None
        expert, anti = self._find("expert", names), self._find("anti_expert", names)
        if expert == anti:
            raise NeedsError(
                f"{self.name}: expert and anti_expert are both {names[expert]}; they would cancel"
            )
        base = expert if self.base is None else self._find("base", names)
        return Roles(base, (expert,), (anti,))

    def _ranked(self, bench: Workbench) -> Roles:
        base = None if self.base is None else self._find("base", bench.pool.names)
        others = [who for who in range(len(bench.pool)) if who != base]
        order = [who for who in bench.ranking() if who in others]
        first = order[0] if base is None else base
        return Roles(first, tuple(order[: self.k]), tuple(order[-self.k :]))

    def _find(self, field: str, names: Sequence[str]) -> int:
        """The index of the member that a hyperparameter names."""
        asked = getattr(self, field)
        if isinstance(asked, str) and asked in names:
            return list(names).index(asked)
        if isinstance(asked, int) and 0 <= asked < len(names):
            return asked
        raise NeedsError(
            f"{self.name}: {field} is {asked!r}; it must be an index from 0 to {len(names) - 1} or "
            f"one of {', '.join(names)}"
        )
