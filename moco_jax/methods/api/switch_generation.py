"""Members write patches of one text in turn; a selector reads along and names who goes on."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import ClassVar, Literal

from moco_jax.decoding.floor import Floor, Protocol
from moco_jax.decoding.types import Request, Response, Sampling
from moco_jax.method import Method, Needs, Workbench
from moco_jax.methods import prompts
from moco_jax.methods.api.prompt_routing import named_member
from moco_jax.methods.checks import one_of, within
from moco_jax.methods.helpers import same_model
from moco_jax.system import Context, System, question
from moco_jax.tasks import Item

LONGEST_REPLY = 8
"""Tokens in which a selector that writes has to name a number."""
GREEDY = Sampling(temperature=0.0, top_p=1.0)


@dataclasses.dataclass(frozen=True)
class Switching(System):
    """All members take turns, a patch each; the selector decides whose turn it is.

    Attributes:
        selector: its name.
        selector_identity: its hash.
        patch_size: tokens of a patch.
        decision: "logprob" or "generate".
        objective_flag: whether the last patch is asked for the final answer.
        wait_flag: whether an answer that ends early is asked to go on.
    """

    selector: str
    selector_identity: str
    patch_size: int
    decision: str
    objective_flag: bool
    wait_flag: bool

    def respond(self, items: Sequence[Item], context: Context) -> list[Response]:
        """The text that the members wrote together, for every item."""
        pool = context.pool
        selector = same_model("selector_model_name", self.selector, self.selector_identity, pool)
        rounds = max(context.sampling.max_new_tokens // self.patch_size, 1)
        protocol = Protocol(
            functools.partial(self.play, rounds),
            "switch generation",
            (self.patch_size, rounds, self.decision, self.objective_flag, self.wait_flag),
        )
        requests = [question(item) for item in items]
        written = context.take_turns([*range(len(pool)), selector], requests, protocol)
        named = ("selector", self.selector)
        return [response.replace(notes=(named, *response.notes)) for response in written]

    def play(self, rounds: int, floor: Floor) -> None:
        """Writes a patch per round; the last of `floor.members` is the selector."""
        ended: set[int] = set()
        for number in range(rounds):
            chosen = self._choose(number, floor)
            last = number == rounds - 1
            if ended:
                waiting = sorted(ended & set(floor.open))
                floor.add(waiting, [prompts.WAIT] * len(waiting))
            if last and number and self.objective_flag:
                floor.add(floor.open, [prompts.CONCLUDE] * len(floor.open))
            # As in the reference, nobody is asked to wait before the last two patches
            goes_on = self.wait_flag and number + 1 <= rounds - 2
            ended = set()
            for who in range(len(floor.members) - 1):
                rows = [row for row in floor.open if chosen.get(row) == who]
                drafts = floor.draft(who, rows, self.patch_size) if rows else []
                floor.say(who, rows, drafts, ends=not goes_on)
                for row, draft in zip(rows, drafts, strict=True):
                    floor.lines[row].notes.setdefault("patches", []).append(who)
                    if draft.finish == "end" and goes_on:
                        ended.add(row)

    def _choose(self, number: int, floor: Floor) -> dict[int, int]:
        """Who is to go on, by row."""
        rows = floor.open
        selector, count = len(floor.members) - 1, len(floor.members) - 1
        read = [self._request(floor, row, count) for row in rows]
        choose = self._weigh if self.decision == "logprob" else self._ask
        found = choose(floor, selector, count, rows, read) if rows else []
        chosen = {}
        for row, who in zip(rows, found, strict=True):
            line = floor.lines[row]
            line.notes.setdefault("unread_choices", 0)
            if who is None:
                line.notes["unread_choices"] += 1
                who = int(floor.random(row, "speaker", number).integers(count))
            line.remark(floor.members[selector], "select", str(who))
            chosen[row] = who
        return chosen

    def _request(self, floor: Floor, row: int, count: int) -> Request:
        """Shows the selector the question and who wrote which part so far."""
        line = floor.lines[row]
        numbers = {name: who for who, name in enumerate(floor.members[:count])}
        marked = [(numbers.get(speaker), text) for speaker, text in line.segments]
        text = prompts.next_speaker(line.request.messages[-1].content, marked, count)
        return Request.user(text, item=line.request.item, key=line.request.key, purpose="select")

    @staticmethod
    def _weigh(
        floor: Floor, selector: int, count: int, rows: Sequence[int], read: Sequence[Request]
    ) -> list[int | None]:
        """The most likely number; none where the selector cannot read so much."""
        labels = [str(number) for number in range(count)]
        found: list[int | None] = []
        for scores in floor.score(selector, rows, labels, read=read):
            likely = [sum(values) for values in scores or ()]
            found.append(likely.index(max(likely)) if likely else None)
        return found

    @staticmethod
    def _ask(
        floor: Floor, selector: int, count: int, rows: Sequence[int], read: Sequence[Request]
    ) -> list[int | None]:
        """The number that the selector writes; none where it writes none."""
        drafts = floor.draft(selector, rows, LONGEST_REPLY, read=read, sampling=GREEDY)
        return [named_member(draft.text, count, first=0) for draft in drafts]


@dataclasses.dataclass(frozen=True)
class SwitchGeneration(Method):
    """Members write one text in patches; after each, a selector model names who writes the next.

    Source: "Don't Throw Away Your Pretrained Model", arXiv 2510.09913.

    Cost: `max_new_tokens` generated tokens per item over all members. A member reads what others
    wrote only when it is its turn; the selector reads every patch once, and makes one forward pass
    per member and patch (with "generate", up to 8 tokens per patch).

    Departures: the selector has to be given; training one on dev is not built yet. By default its
    log-probabilities of the numbers decide; the reference lets it write as long as an answer and
    looks for digits anywhere in it, the largest first. Here "generate" is greedy and takes the
    first whole number in range. Where no number can be read, the next speaker is random, as in the
    reference. An answer ends where its writer ends it: the reference takes a patch of fewer
    characters than `patch_size` for the end. Patches are joined as they are, where the reference
    puts a space after each, in the middle of words too.

    Attributes:
        selector_model_name: the selector: a member of the pool, or whatever `Pool.load` takes.
        patch_size: tokens of a patch; there are `max_new_tokens // patch_size` patches.
        selector_decision: "logprob" compares the numbers' log-probabilities; "generate" parses a
            written reply.
        objective_flag: before the last patch the text is led to its final answer.
        wait_flag: an answer that ends before the last two patches is asked to go on (as in s1,
            arXiv 2501.19393).
    """

    name: ClassVar[str] = "api_switch_generation"
    needs: ClassVar[Needs] = Needs(members=2)

    selector_model_name: str
    patch_size: int = 25
    selector_decision: Literal["logprob", "generate"] = "logprob"
    objective_flag: bool = False
    wait_flag: bool = False

    def __post_init__(self) -> None:
        within(self, "patch_size", 1)
        one_of(self, "selector_decision", ("logprob", "generate"))

    def helpers(self) -> dict[str, str]:
        """The selector."""
        return {"selector": self.selector_model_name}

    def fit(self, bench: Workbench) -> System:
        """Finds the selector; nothing is learned."""
        return Switching(
            selector=self.selector_model_name,
            selector_identity=bench.pool.find(self.selector_model_name).identity,
            patch_size=self.patch_size,
            decision=self.selector_decision,
            objective_flag=self.objective_flag,
            wait_flag=self.wait_flag,
        )
