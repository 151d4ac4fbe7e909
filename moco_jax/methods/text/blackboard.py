"""A board that agents read and write in turns until enough of them have finished."""

import dataclasses
import functools
import re
from collections.abc import Generator, Sequence

from moco_jax.decoding.types import Response
from moco_jax.methods import prompts, quoting
from moco_jax.methods.quoting import Inquiry
from moco_jax.methods.side_by_side import Protocol
from moco_jax.methods.votes import chance, leaders, tally
from moco_jax.tasks import Item

SELECT, VOTE = "select", "vote"
INVALID = "INVALID"


@dataclasses.dataclass(frozen=True)
class Entry:
    """What an agent wrote on the board.

    Attributes:
        iteration: when, from 1.
        action: one of `prompts.ACTIONS`, or INVALID where none was chosen.
        text: what it wrote.
        response: where the text is from; None for an invalid action.
    """

    iteration: int
    action: str
    text: str
    response: Response | None

    @property
    def concludes(self) -> bool:
        """Whether it gives a final answer; an empty one is none."""
        return self.action == prompts.FINISH and quoting.says_something(self.text)

    @property
    def conclusion(self) -> str:
        """What stands after the last mark of a final answer, or the whole text."""
        return self.text.rpartition(prompts.FINAL)[2].strip() or self.text.strip()


@dataclasses.dataclass(frozen=True)
class Rules:
    """How a board is worked on.

    Attributes:
        agents: per agent, the member that speaks for it.
        acting: most agents that act in an iteration.
        finishing: how many of them have to finish to end the work.
        idle: iterations without acting after which an agent is next.
        iterations: most iterations.
        attempts: most attempts at choosing an action.
    """

    agents: tuple[int, ...]
    acting: int
    finishing: int
    idle: int
    iterations: int
    attempts: int


@dataclasses.dataclass
class Board:
    """One item's board.

    Attributes:
        item: what is worked on.
        rules: how.
        seed: of the draws of who acts.
        entries: what stands on it, in order.
        said: all responses so far, in order.
        acted: per agent, the iteration in which it last acted; 0 is never.
    """

    item: Item
    rules: Rules
    seed: int
    entries: list[Entry] = dataclasses.field(default_factory=list)
    said: list[Response] = dataclasses.field(default_factory=list)
    acted: dict[int, int] = dataclasses.field(default_factory=dict)

    def work(self) -> Protocol[Response]:
        """The whole protocol of one item; returns the final answer."""
        written: list[Entry] = []
        acting: list[int] = []
        for iteration in range(1, self.rules.iterations + 1):
            acting = self.next_agents(iteration)
            actions = yield from self._select(acting)
            written = yield from self._write(iteration, actions)
            finished = [entry for entry in written if entry.concludes]
            if len(finished) >= self.rules.finishing:
                return (yield from self._conclude(finished, exhausted=False))
        forced = dict.fromkeys(acting, prompts.FINISH)
        written = yield from self._write(self.rules.iterations + 1, forced)
        finished = [entry for entry in written if entry.concludes]
        return (yield from self._conclude(finished or written, exhausted=True))

    def next_agents(self, iteration: int) -> list[int]:
        """Who acts: those that were idle for too long, the longest first, then a seeded draw."""
        agents = len(self.rules.agents)
        draw = chance(self.seed, f"select {iteration}", self.item.key).permutation(agents)
        idle = {agent: iteration - 1 - self.acted.get(agent, 0) for agent in draw.tolist()}
        order = sorted(idle, key=lambda who: -idle[who] if idle[who] > self.rules.idle else 0)
        chosen = order[: self.rules.acting]
        self.acted |= dict.fromkeys(chosen, iteration)
        return chosen

    def _select(
        self, acting: Sequence[int]
    ) -> Generator[list[Inquiry], list[Response], dict[int, str]]:
        """The action that each agent chooses; who names none, or several, is asked again."""
        actions: dict[int, str] = {}
        for attempt in range(self.rules.attempts):
            undecided = [agent for agent in acting if agent not in actions]
            if not undecided:
                break
            replies = yield [
                self._inquiry(agent, SELECT, prompts.choose_action(), attempt)
                for agent in undecided
            ]
            self.said += replies
            for agent, reply in zip(undecided, replies, strict=True):
                action = named_action(reply.text)
                # The same prompt will not fit the next time either
                if action or reply.finish == "over_length":
                    actions[agent] = action or INVALID
        return {agent: actions.get(agent, INVALID) for agent in acting}

    def _write(
        self, iteration: int, actions: dict[int, str]
    ) -> Generator[list[Inquiry], list[Response], list[Entry]]:
        """The entries of an iteration: all its agents read the board as it was before."""
        able = {agent: action for agent, action in actions.items() if action != INVALID}
        replies: list[Response] = []
        if able:
            replies = yield [
                self._inquiry(agent, action.lower(), prompts.act(action, self.item.kind))
                for agent, action in able.items()
            ]
        self.said += replies
        found = dict(zip(able, replies, strict=True))
        written = []
        for agent, action in actions.items():
            reply = found.get(agent)
            text = prompts.NO_ACTION if reply is None else reply.text
            written.append(Entry(iteration, action, text, reply))
        self.entries += written
        return written

    def _inquiry(self, agent: int, purpose: str, task: str, sample: int = 0) -> Inquiry:
        shown = [entry for entry in self.entries if quoting.says_something(entry.text)]
        lines = tuple(
            prompts.board_entry(number, entry.iteration, entry.action.lower(), entry.text)
            for number, entry in enumerate(shown, 1)
        )
        write = functools.partial(prompts.read_board, self.item.prompt, task=task)
        return Inquiry(self.rules.agents[agent], self.item, purpose, write, lines, sample)

    def _conclude(
        self, finished: Sequence[Entry], exhausted: bool
    ) -> Generator[list[Inquiry], list[Response], Response]:
        """The conclusion that most agents vote for; the earliest of equals, or the only one."""
        found: dict[str, Entry] = {}
        for entry in finished:
            found.setdefault(entry.conclusion, entry)
        conclusions = list(found)
        votes: list[str | None] = []
        if len(conclusions) > 1:
            replies = yield [self._ballot(who, conclusions) for who in self.rules.agents]
            self.said += replies
            votes = [named_conclusion(reply.text, len(conclusions)) for reply in replies]
        first = min((int(vote) for vote in leaders(tally(votes))), default=1)
        text = conclusions[first - 1]
        final = found[text].response or Response("")
        if final.text != text:
            final = final.replace(text=text, tokens=(), logprobs=())
        notes = (
            ("chosen", final.speaker),
            ("iterations", min(self.entries[-1].iteration, self.rules.iterations)),
            ("exhausted", exhausted),
            ("actions", [entry.action for entry in self.entries]),
            ("calls", len(self.said)),
            ("conclusions", len(conclusions)),
        )
        return quoting.conclude(final, self.said, notes)

    def _ballot(self, who: int, conclusions: Sequence[str]) -> Inquiry:
        shown = tuple(
            prompts.conclusion(number, text) for number, text in enumerate(conclusions, 1)
        )
        write = functools.partial(prompts.vote_on_conclusions, self.item.prompt)
        return Inquiry(who, self.item, VOTE, write, shown)


def named_action(reply: str) -> str | None:
    """The one action whose word stands in a reply, in capitals; None if none or several do."""
    named = {action for action in prompts.ACTIONS if re.search(rf"\b{action}\b", reply)}
    return named.pop() if len(named) == 1 else None


def named_conclusion(reply: str, count: int) -> str | None:
    """The last "Conclusion #k" of a reply, else its last whole number, from 1 to `count`."""
    for pattern in (r"(?i)conclusion\s*#?\s*(\d{1,9})\b", r"(?<![\d.])(\d{1,9})(?!\.?\d)"):
        numbers = [int(number) for number in re.findall(pattern, reply)]
        valid = [number for number in numbers if 1 <= number <= count]
        if valid:
            return str(valid[-1])
    return None
