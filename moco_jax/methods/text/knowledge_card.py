"""Members write down what they know about a question; the best one answers with it."""

import dataclasses
import functools
import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar, Literal

from moco_jax.decoding.types import Response
from moco_jax.method import Method, NeedsError, TaskInfo, Workbench
from moco_jax.methods import prompts
from moco_jax.methods.checks import one_of, within
from moco_jax.methods.quoting import POLICIES, ContextPolicy, Inquiry, ask, conclude, plain
from moco_jax.pool import MemberInfo
from moco_jax.system import Context, System
from moco_jax.tasks import Item

WORD = re.compile(r"\w+")


def relevance(query: str, texts: Sequence[str]) -> list[float]:
    """Cosine between the words of a query and of each text; 0 to 1.

    A word counts as often as it stands there, times log((1 + n) / (1 + d)) + 1, where d of the n
    texts hold it.
    """
    counts = [Counter(WORD.findall(text.lower())) for text in (query, *texts)]
    weight = {
        word: math.log((1 + len(texts)) / (1 + sum(word in count for count in counts[1:]))) + 1
        for count in counts
        for word in count
    }
    asked, *rows = [
        {word: times * weight[word] for word, times in count.items()} for count in counts
    ]
    norm = math.hypot(*asked.values())
    return [
        sum(value * row.get(word, 0.0) for word, value in asked.items())
        / ((norm * math.hypot(*row.values())) or 1.0)
        for row in rows
    ]


@dataclasses.dataclass
class Dossier:
    """What stands together about one item.

    Attributes:
        said: every response so far, in order.
        need: what the answerer wants to know; "" where it was not asked.
        wanted: whether there is any need for knowledge.
        cards: (author, text) in the order in which they are read.
    """

    said: list[Response]
    need: str = ""
    wanted: bool = True
    cards: list[tuple[int, str]] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Cards(System):
    """Members write cards, one reads them and answers.

    Attributes:
        answerer: index of the member that answers.
        writers: indices of those that write.
        selectors: what is done with the cards.
        max_cards: how many "relevance" keeps.
        mode: "bottom_up" or "top_down".
        context_policy: what is done with cards that do not fit.
    """

    answerer: int
    writers: tuple[int, ...]
    selectors: tuple[str, ...]
    max_cards: int
    mode: str
    context_policy: str

    def respond(self, items: Sequence[Item], context: Context) -> list[Response]:
        """The answerer's answer to every item."""
        dossiers = [Dossier([]) for _ in items]
        if self.mode == "top_down":
            self._ask_needs(items, dossiers, context)
        self._write(items, dossiers, context)
        if "relevance" in self.selectors:
            for item, dossier in zip(items, dossiers, strict=True):
                self._select(item, dossier)
        if "brevity" in self.selectors:
            self._condense(items, dossiers, context)
        inquiries = [self._answer(item, one) for item, one in zip(items, dossiers, strict=True)]
        finals = ask(context, inquiries, self.context_policy)
        results = []
        for dossier, final in zip(dossiers, finals, strict=True):
            authors = [context.pool[who].name for who, _ in dossier.cards]
            notes = (("chosen", final.speaker), ("cards", authors))
            results.append(conclude(final, [*dossier.said, final], notes))
        return results

    def _ask_needs(
        self, items: Sequence[Item], dossiers: Sequence[Dossier], context: Context
    ) -> None:
        """The answerer says what it would have to know."""
        inquiries = [
            Inquiry(self.answerer, item, "need", functools.partial(_need, item.question))
            for item in items
        ]
        replies = ask(context, inquiries, self.context_policy)
        for dossier, reply in zip(dossiers, replies, strict=True):
            dossier.said.append(reply)
            dossier.need = reply.text.strip()
            words = WORD.findall(dossier.need.lower())
            dossier.wanted = bool(words) and words[0] != prompts.NOTHING

    def _write(self, items: Sequence[Item], dossiers: Sequence[Dossier], context: Context) -> None:
        """Every writer's card for every item that wants any."""
        inquiries = []
        for item, dossier in zip(items, dossiers, strict=True):
            write = functools.partial(_card, item.question)
            need = (dossier.need,) if dossier.need else ()
            inquiries += [
                Inquiry(who, item, "knowledge", write, need)
                for who in self.writers
                if dossier.wanted
            ]
        cards = iter(ask(context, inquiries, self.context_policy))
        for dossier in dossiers:
            for who in self.writers if dossier.wanted else ():
                card = next(cards)
                dossier.said.append(card)
                if card.text.strip():
                    dossier.cards.append((who, card.text.strip()))

    def _select(self, item: Item, dossier: Dossier) -> None:
        """Keeps the most relevant cards, the least relevant of them first."""
        texts = [text for _, text in dossier.cards]
        scores = relevance(f"{item.question} {dossier.need}", texts)
        ranked = sorted(zip(scores, dossier.cards, strict=True), key=lambda pair: -pair[0])
        dossier.cards = [card for _, card in reversed(ranked[: self.max_cards])]

    def _condense(
        self, items: Sequence[Item], dossiers: Sequence[Dossier], context: Context
    ) -> None:
        """Authors sum up their cards; a summary that is no shorter is not used."""
        inquiries = []
        for item, dossier in zip(items, dossiers, strict=True):
            write = functools.partial(_brief, item.question)
            inquiries += [
                Inquiry(who, item, "brevity", write, (text,)) for who, text in dossier.cards
            ]
        briefs = iter(ask(context, inquiries, self.context_policy))
        for dossier in dossiers:
            for place, (who, text) in enumerate(dossier.cards):
                brief = next(briefs)
                dossier.said.append(brief)
                if 0 < len(brief.text.strip()) < len(text):
                    dossier.cards[place] = who, brief.text.strip()

    def _answer(self, item: Item, dossier: Dossier) -> Inquiry:
        if not dossier.cards:
            return plain(self.answerer, item)
        write = functools.partial(prompts.read_cards, item.prompt)
        quotes = tuple(text for _, text in dossier.cards)
        return Inquiry(self.answerer, item, "answer with knowledge", write, quotes)


def _need(question: str, _: Sequence[str]) -> str:
    return prompts.ask_need(question)


def _card(question: str, need: Sequence[str]) -> str:
    return prompts.write_card(question, *need)


def _brief(question: str, texts: Sequence[str]) -> str:
    return prompts.condense(question, texts[0])


@dataclasses.dataclass(frozen=True)
class KnowledgeCard(Method):
    """Every member writes a paragraph of background; the best on dev answers with all of them.

    Source: Knowledge Card, arXiv 2305.09955; generated knowledge prompting, arXiv 2110.08387.

    Cost: one generation per writer and item, one more for the answer, and the greedy dev pass of
    every member that all methods share. "brevity" adds one per card that is read; "top_down" adds
    one per item, and no cards are written where nothing is needed.

    Departures: with `exclude_self` the answerer writes no card (the reference has it write one and
    drops it). `selectors`, `max_cards`, `mode` and `context_policy` are additions after the paper,
    whose check of facts needs a retriever and is left out; relevance is that of words, not of
    embeddings.

    Attributes:
        exclude_self: the answerer gets only the others' cards.
        selectors: "relevance" keeps the cards with most words of the question, "brevity" has their
            authors sum them up; none by default.
        max_cards: how many cards "relevance" keeps.
        mode: "bottom_up": cards are written for every item; "top_down": the answerer first says
            what it needs to know, if anything, and cards are written about that.
        context_policy: what is done with cards that do not fit (see `quoting`): "refuse" the
            prompt, drop the "oldest_first", "shorten" them evenly, or "summarise" them first.
    """

    name: ClassVar[str] = "text_knowledge_card"

    exclude_self: bool = False
    selectors: tuple[Literal["relevance", "brevity"], ...] = ()
    max_cards: int = 3
    mode: Literal["bottom_up", "top_down"] = "bottom_up"
    context_policy: ContextPolicy = "refuse"

    def __post_init__(self) -> None:
        for selector in self.selectors:
            if selector not in ("relevance", "brevity"):
                raise ValueError(
                    f"{self.name}: selectors is {self.selectors!r}; each must be 'relevance' or "
                    "'brevity'"
                )
        within(self, "max_cards", 1)
        one_of(self, "mode", ("bottom_up", "top_down"))
        one_of(self, "context_policy", POLICIES)

    def check(self, infos: Sequence[MemberInfo], task: TaskInfo) -> None:
        """Somebody is left to write."""
        super().check(infos, task)
        if self.exclude_self and len(infos) < 2:
            raise NeedsError(
                f"{self.name}: exclude_self leaves nobody to write in a pool of one member; add "
                "members, or leave it out"
            )

    def fit(self, bench: Workbench) -> System:
        """Finds the best member on dev."""
        answerer = bench.best()
        writers = [
            who for who in range(len(bench.pool)) if not (self.exclude_self and who == answerer)
        ]
        return Cards(
            answerer=answerer,
            writers=tuple(writers),
            selectors=self.selectors,
            max_cards=self.max_cards,
            mode=self.mode,
            context_policy=self.context_policy,
        )
