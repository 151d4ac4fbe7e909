"""Models that judge answers, on the library's own engine: reward model, verifier, encoder.

Each is known by its files first, like a member, and loaded when there is something to judge. What
it said is kept in the store, so that a run that goes on does not judge twice.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from absl import logging

from moco_jax.decoding.hooks import Meter, Store
from moco_jax.models.encoder import SentenceEncoder
from moco_jax.models.memory import INT8
from moco_jax.pool import Member, Pool
from moco_jax.runs.config import RunConfig
from moco_jax.runs.encoders import Encoders
from moco_jax.runs.judgements import diversity, reward, verdict
from moco_jax.runs.members import Members
from moco_jax.tasks import ROLES, Judge
from moco_jax.tasks.judging import no_judge
from moco_jax.tasks.scorers import scorer_for

AnyJudge = str | Member | SentenceEncoder
"""A directory, a hub id, or what was loaded already."""


class Loader(Protocol):
    """A model whose weights are read when they are first needed, and then kept."""

    def identities(self, store: Store) -> list[str]:
        """The identity of the one model."""

    def load(self, store: Store) -> Any:
        """A sequence of the one model."""


@dataclasses.dataclass(frozen=True)
class JudgeModel:
    """One model that judges.

    Attributes:
        role: a key of `ROLES`.
        name: what the user called it.
        loader: gets at it.
        judge: (model, store, meter) to the function that scoring calls.
    """

    role: str
    name: str
    loader: Loader
    judge: Callable[[Any, Store, Meter], Judge]

    def identity(self, store: Store) -> str:
        """Hash of its tensors, config and tokenizer."""
        return self.loader.identities(store)[0]

    def bind(self, store: Store, meter: Meter) -> Judge:
        """The function that scoring calls; it loads the model when it is first called."""

        @functools.cache
        def loaded() -> Judge:
            return self.judge(self.loader.load(store)[0], store, meter)

        return lambda cases: loaded()(cases)


JudgeModels = Mapping[str, JudgeModel]


def make_judges(
    kinds: Iterable[str], config: RunConfig, given: Mapping[str, AnyJudge] | None = None
) -> dict[str, JudgeModel]:
    """The judges that tasks of these kinds need, by role.

    Args:
        kinds: of the tasks.
        config: names the models; a role without a name gets the papers' own.
        given: models by role, which come before the config's.

    Raises:
        ValueError: a model cannot be loaded or is not of the sort its role needs, or a role is
            unknown.
    """
    given = given or {}
    unknown = sorted(set(given) - set(ROLES))
    if unknown:
        raise ValueError(f"unknown judge {unknown[0]!r}; the roles are {', '.join(ROLES)}")
    kinds = sorted(set(kinds))
    roles = {role for kind in kinds for role in roles_of(kind)}
    for role in ROLES:
        if role not in roles and (role in given or getattr(config, role)):
            logging.info("%s has no effect on tasks of kind %s", role, ", ".join(kinds))
    return {role: _make(role, given.get(role), config) for role in sorted(roles)}


def roles_of(kind: str) -> tuple[str, ...]:
    """The judges that a kind of task needs."""
    judged = scorer_for(kind).judged
    return () if judged is None else (judged.role,)


def needed_judges(kind: str, judges: JudgeModels) -> dict[str, JudgeModel]:
    """Those of `judges` that a kind of task needs.

    Raises:
        ValueError: one is missing.
    """
    for role in roles_of(kind):
        if role not in judges:
            raise ValueError(no_judge(kind, role))
    return {role: judges[role] for role in roles_of(kind)}


def _make(role: str, given: AnyJudge | None, config: RunConfig) -> JudgeModel:
    model = given or getattr(config, role) or ROLES[role].default
    try:
        return _MAKERS[role](model, config.dtype)
    except (ValueError, OSError) as error:
        needed = ROLES[role]
        raise ValueError(
            f"{name_of(model)} cannot be {needed.what} for this task: {error}\n"
            f"Pass another with --{role}=NAME, a checkpoint directory or hub id (the papers' is "
            f"{needed.default})."
        ) from error


def name_of(model: AnyJudge) -> str:
    """How a config names a judge."""
    if isinstance(model, str):
        return model
    return model.name if isinstance(model, Member) else "encoder"


def names_of(judges: Mapping[str, AnyJudge] | None) -> dict[str, Any]:
    """How a config names judges, by role."""
    return {role: name_of(model) for role, model in (judges or {}).items() if role in ROLES}


def _member(model: AnyJudge, dtype: str | None) -> Members:
    if isinstance(model, SentenceEncoder):
        raise ValueError("it is a text encoder, and this takes a decoder")
    return Members([model] if isinstance(model, str) else Pool([model]), dtype)


def _reward_model(model: AnyJudge, dtype: str | None) -> JudgeModel:
    members = _member(model, dtype)
    labels = members.infos[0].config.num_labels
    if labels != 1:
        raise ValueError(
            f"it has {labels or 'no'} score labels; a reward model's config.json names an "
            "architecture that ends in ForSequenceClassification, with one label"
        )
    return JudgeModel("reward_model", name_of(model), members, reward)


def _verifier(model: AnyJudge, dtype: str | None) -> JudgeModel:
    members = _member(model, dtype)
    if members.infos[0].config.num_labels:
        raise ValueError("it is a classifier, and a verifier writes its verdict")
    return JudgeModel("verifier", name_of(model), members, verdict)


def _embedding_model(model: AnyJudge, dtype: str | None) -> JudgeModel:
    if isinstance(model, Member):
        raise ValueError("it is a decoder, and an embedding model is an encoder (BERT or RoBERTa)")
    held = None if dtype == INT8 else dtype  # encoders are small: they keep the usual type
    return JudgeModel("embedding_model", name_of(model), Encoders(model, held), diversity)


_MAKERS: dict[str, Callable[[AnyJudge, str | None], JudgeModel]] = {
    "reward_model": _reward_model,
    "verifier": _verifier,
    "embedding_model": _embedding_model,
}
