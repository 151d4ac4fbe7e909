"""Members that answer along a graph: each reads what those before it said."""

import dataclasses
import functools
from collections.abc import Sequence

from moco_jax.decoding.types import Response, Sampling
from moco_jax.methods import prompts, quoting
from moco_jax.methods.text.graphs import Reads, levels
from moco_jax.system import Context
from moco_jax.tasks import Item

Said = dict[int, Response]
"""What was said at every node of a team, in order."""
Key = tuple[object, int, str, tuple[str, ...]]
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

    def draft(self, node: int, item: Item, said: Said) -> quoting.Draft:
        """What the member at a node is asked once all that it reads is said."""
        who = self.members[node]
        # The first to speak are the oldest where quotes have to go
        quotes = tuple(said[source].text for source in said if source in self.reads[node])
        if not quotes:
            return quoting.plain(who, item)
        purpose, write = "consult", prompts.consult
        if node == self.end:
            purpose, write = "summarise", prompts.summarise
        return quoting.Draft(who, item, purpose, functools.partial(write, item.prompt), quotes)


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
        teams: they share what their members say to the same question after the same answers.
        policy: what is done with quotes that do not fit.
        sampling: how answers are drawn; the context's own by default.
        known: answers to these items from calls before, which are not asked for again; it learns
            the new ones.

    Returns:
        what was said, [team][item].
    """
    known = {} if known is None else known
    said: list[list[Said]] = [[{} for _ in items] for _ in teams]
    orders = [levels(team.reads) for team in teams]
    for depth in range(max(map(len, orders))):
        places: list[tuple[Said, int, Key]] = []
        fresh: dict[Key, quoting.Draft] = {}
        for team, order, rows in zip(teams, orders, said, strict=True):
            for node in order[depth] if depth < len(order) else ():
                for number, (item, row) in enumerate(zip(items, rows, strict=True)):
                    draft = team.draft(node, item, row)
                    key: Key = (draft.who, number, draft.purpose, draft.quotes)
                    places.append((row, node, key))
                    if key not in known:
                        fresh.setdefault(key, draft)
        heard = quoting.ask(context, list(fresh.values()), policy, sampling)
        known |= zip(fresh, heard, strict=True)
        for row, node, key in places:
            row[node] = known[key]
    return said
