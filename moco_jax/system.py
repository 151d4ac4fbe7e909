"""A fitted collaboration: frozen data that answers items, is saved, and is loaded again."""

import abc
import dataclasses
import importlib
import json
import pathlib
from collections.abc import Sequence
from typing import Any

from moco_jax.decoding.combine import Combine
from moco_jax.decoding.engine import Engine
from moco_jax.decoding.floor import Protocol
from moco_jax.decoding.types import Request, Response, Sampling
from moco_jax.pool import Member, Pool
from moco_jax.tasks import Item

Array = Any


@dataclasses.dataclass(frozen=True)
class Context:
    """All that a system may use while it answers; it holds no gold answer.

    Attributes:
        pool: the members.
        engine: runs them, with the run's store and ledger behind it.
        sampling: how answers are drawn.
        seed: the run's seed, for draws made on the host.
    """

    pool: Pool
    engine: Engine
    sampling: Sampling
    seed: int

    def ask(
        self, asks: Sequence[tuple[int | Member, Request]], sampling: Sampling | None = None
    ) -> list[Response]:
        """Asks members (by index in the pool, or a member made by a method); answers in order."""
        targets = [self.pool[who] if isinstance(who, int) else who for who, _ in asks]
        requests = [request for _, request in asks]
        return self.engine.ask(targets, requests, sampling or self.sampling)

    def answer(
        self,
        who: int | Member,
        items: Sequence[Item],
        *,
        sample: int = 0,
        sampling: Sampling | None = None,
        purpose: str = "answer",
    ) -> list[Response]:
        """One member's answer to every item."""
        return self.ask([(who, question(item, sample, purpose)) for item in items], sampling)

    def join(
        self,
        who: Sequence[int],
        requests: Sequence[Request],
        combine: Combine,
        theta: Array,
        sampling: Sampling | None = None,
    ) -> list[Response]:
        """Members write one stream together; theta's leaves lead with the request axis."""
        members = [self.pool[index] for index in who]
        return self.engine.join(members, requests, sampling or self.sampling, combine, theta)

    def take_turns(
        self,
        who: Sequence[int | Member],
        requests: Sequence[Request],
        protocol: Protocol,
        thetas: Sequence[Any] | None = None,
        sampling: Sampling | None = None,
    ) -> list[Response]:
        """Members write each answer by turns; their tokenizers may differ.

        Args:
            who: members, in the order in which the protocol counts them.
            requests: one per answer.
            protocol: who writes when.
            thetas: its settings for each request, JSON values.
            sampling: other than the run's.
        """
        members = [self.pool[one] if isinstance(one, int) else one for one in who]
        return self.engine.take_turns(
            members, requests, sampling or self.sampling, protocol, thetas
        )

    def score(
        self, asks: Sequence[tuple[int | Member, Request]], continuations: Sequence[str]
    ) -> list[tuple[float, ...] | None]:
        """Log-probability of every token of each continuation after its request.

        None where a member's context does not hold both.
        """
        targets = [self.pool[who] if isinstance(who, int) else who for who, _ in asks]
        requests = [request for _, request in asks]
        return self.engine.score(targets, requests, continuations, self.sampling)


def question(item: Item, sample: int = 0, purpose: str = "answer") -> Request:
    """The request that puts an item's prompt to a member."""
    return about(item, item.prompt, sample=sample, purpose=purpose)


def about(item: Item, text: str, **fields: Any) -> Request:
    """A request with one user turn in the service of an item; `fields` are other attributes."""
    return Request.user(text, item=item.id, key=item.key, **fields)


@dataclasses.dataclass(frozen=True)
class System(abc.ABC):
    """A recipe and its arrays. Subclasses are frozen dataclasses whose fields are JSON values.

    A system with weights of its own overrides `save_arrays` and `restore`.
    """

    @abc.abstractmethod
    def respond(self, items: Sequence[Item], context: Context) -> list[Response]:
        """Answers every item, in order."""

    def save(self, directory: pathlib.Path) -> None:
        """Writes `system.json` (and arrays, if any) into an existing directory."""
        kind = type(self)
        fields = {
            f.name: getattr(self, f.name)
            for f in dataclasses.fields(self)
            if f.metadata.get("json", True)
        }
        record = {"class": f"{kind.__module__}:{kind.__qualname__}", "fields": fields}
        (directory / "system.json").write_text(json.dumps(record, indent=1) + "\n")
        self.save_arrays(directory)

    def save_arrays(self, directory: pathlib.Path) -> None:  # noqa: B027 - most have none
        """Writes what JSON cannot hold; nothing by default."""

    @classmethod
    def restore(cls, fields: dict[str, Any], directory: pathlib.Path) -> "System":
        """Builds the system from its JSON fields and what `save_arrays` wrote."""
        del directory
        return cls(**fields)


def tuples(value: Any) -> Any:
    """JSON lists as the tuples they were."""
    return tuple(tuples(part) for part in value) if isinstance(value, list) else value


def restore_system(directory: pathlib.Path) -> System:
    """Loads the system that `System.save` wrote into `directory`."""
    path = directory / "system.json"
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: the run did not finish, or is no run")
    record = json.loads(path.read_text())
    module, _, name = record["class"].partition(":")
    kind = getattr(importlib.import_module(module), name)
    if not (isinstance(kind, type) and issubclass(kind, System)):
        raise ValueError(f"{path} names {record['class']}, which is not a System")
    return kind.restore({key: tuples(value) for key, value in record["fields"].items()}, directory)
