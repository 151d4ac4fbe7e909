"""Members that answer along a graph: each reads what those before it said."""

import dataclasses
import functools
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from moco_jax.decoding.types import Response, Sampling
from moco_jax.methods import prompts, quoting
from moco_jax.methods.text.graphs import Reads, levels
from moco_jax.system import Context
from moco_jax.tasks import Item

Said = dict[int, Response]
"""What was said at every node of a team, in order."""
History = tuple[Any, ...]
"""Who speaks, whether it is the end, and the histories of all that it reads."""
Key = tuple[int, History]
"""The place of a question among the items, and what led to its answer."""
Known = dict[Key, Response]


@dataclasses.dataclass(frozen=True)
class Team:
    """A graph without cycles, and who stands where.

    Attributes:
        reads: per node, the nodes that it reads.
        end: the node whose answer is the team's.
        members: per node, the index of a member of the pool.
    """

    reads: Reads
    end: int
    members: tuple[int, ...]

    @functools.cached_property
    def order(self) -> list[list[int]]:
        """Nodes that may speak at the same time, level by level."""
        return levels(self.reads)

    @functools.cached_property
    def histories(self) -> dict[int, History]:
        """By node, what determines its answer to any question."""
        found: dict[int, History] = {}
        for node in itertools.chain(*self.order):
            heard = tuple(found[source] for source in self._heard(node, found))
            found[node] = (self.members[node], node == self.end, heard)
        return found

    def inquiry(self, node: int, item: Item, said: Said) -> quoting.Inquiry:
        """What the member at a node is asked once all that it reads is said."""
        who = self.members[node]
        texts = [said[source].text for source in self._heard(node, said)]
        if not texts:
            return quoting.plain(who, item)
        purpose, write = "consult", prompts.consult
        if node == self.end:
            purpose, write = "summarise", prompts.summarise
        return quoting.quote(who, item, purpose, functools.partial(write, item.prompt), texts)

    def _heard(self, node: int, spoken: Iterable[int]) -> list[int]:
        """What a node reads; the first to speak first, the oldest where quotes have to go."""
        return [source for source in spoken if source in self.reads[node]]


def work(
    context: Context,
    items: Sequence[Item],
    teams: Sequence[Team],
    policy: str,
    sampling: Sampling | None = None,
    known: Known | None = None,
) -> list[list[Said]]:
    """All teams answer all items, one call per level of their graphs.

    Args:
        context: the pool and the engine.
        items: the questions.
        teams: a member is asked once for all teams in which the same led up to it.
        policy: what is done with quotes that do not fit.
        sampling: how answers are drawn; the context's own by default.
        known: answers to these items from calls before, which are not asked for again; it learns
            the new ones.

    Returns:
        what was said, [team][item].
    """
    known = {} if known is None else known
    said: list[list[Said]] = [[{} for _ in items] for _ in teams]
    for depth in range(max(len(team.order) for team in teams)):
        turns: list[tuple[Said, int, Key]] = []
        fresh: dict[Key, quoting.Inquiry] = {}
        for team, rows in zip(teams, said, strict=True):
            for node in team.order[depth] if depth < len(team.order) else ():
                for number, (item, row) in enumerate(zip(items, rows, strict=True)):
                    key = number, team.histories[node]
                    turns.append((row, node, key))
                    if key not in known and key not in fresh:
                        fresh[key] = team.inquiry(node, item, row)
        heard = quoting.ask(context, list(fresh.values()), policy, sampling)
        known |= zip(fresh, heard, strict=True)
        for row, node, key in turns:
            row[node] = known[key]
    return said
