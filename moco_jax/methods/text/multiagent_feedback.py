"""Members answer, criticise each other's answers, and revise their own."""

import dataclasses
import functools
import itertools
from collections.abc import Sequence
from typing import ClassVar

from moco_jax.decoding.types import Response, Turn
from moco_jax.method import Method, Needs, NeedsError, TaskInfo, Workbench
from moco_jax.methods import prompts
from moco_jax.methods.checks import one_of, within
from moco_jax.methods.labels import label_probabilities
from moco_jax.methods.quoting import (
    POLICIES,
    ContextPolicy,
    Inquiry,
    ask,
    conclude,
    fit,
    latest,
    plain,
    quote,
    quote_about,
    says_something,
)
from moco_jax.methods.votes import chance
from moco_jax.pool import MemberInfo
from moco_jax.system import Context, System
from moco_jax.tasks import Item

ABSTENTION = "I don't know."
CREDIT_ABSTENTION = ("noncompliance",)
"""Kinds of task that reward who does not answer."""


@dataclasses.dataclass
class Review:
    """One item's answers while members work on them.

    Attributes:
        answers: every member's latest response.
        said: every response so far, in order.
    """

    answers: list[Response]
    said: list[Response]


@dataclasses.dataclass(frozen=True)
class Feedback(System):
    """All members answer and revise; one of them has the last word.

    Attributes:
        writer: the best member on dev.
        rounds: rounds of answers, the first included.
        critics: how many others criticise an answer.
        abstain: whether the final answer is given up where critics show it wrong.
        context_policy: what is done with quoted texts that do not fit.
    """

    writer: int
    rounds: int
    critics: int
    abstain: bool
    context_policy: str

    def respond(self, items: Sequence[Item], context: Context) -> list[Response]:
        """The final answer to every item."""
        size = len(context.pool)
        inquiries = [plain(who, item) for item in items for who in range(size)]
        said = ask(context, inquiries, self.context_policy)
        answers = [said[i * size : (i + 1) * size] for i in range(len(items))]
        reviews = [Review(first, list(first)) for first in answers]
        for number in range(2, self.rounds + 1):
            self._round(number, items, reviews, context)
        inquiries = []
        for item, review in zip(items, reviews, strict=True):
            write = functools.partial(prompts.summarise, item.prompt)
            texts = [answer.text for answer in review.answers]
            inquiries.append(quote(self.writer, item, "summarise", write, texts))
        finals = ask(context, inquiries, self.context_policy)
        for review, final in zip(reviews, finals, strict=True):
            review.said.append(final)
        if self.abstain:
            return self._judge(items, reviews, finals, context)
        return [
            conclude(final, review.said, (("chosen", final.speaker), ("rounds", self.rounds)))
            for review, final in zip(reviews, finals, strict=True)
        ]

    def _round(
        self, number: int, items: Sequence[Item], reviews: list[Review], context: Context
    ) -> None:
        """Critics speak about every answer, and its author revises it."""
        size = len(context.pool)
        cases = [
            (item, author, review.answers[author])
            for item, review in zip(items, reviews, strict=True)
            for author in range(size)
        ]
        remarks = self._remarks(f"feedback round {number}", cases, context)
        inquiries = [
            _revision(author, item, f"revise round {number}", answer, about)
            for (item, author, answer), about in zip(cases, remarks, strict=True)
        ]
        revised = ask(context, inquiries, self.context_policy)
        for index, review in enumerate(reviews):
            mine = slice(index * size, (index + 1) * size)
            review.answers = latest(review.answers, revised[mine])
            for about in remarks[mine]:
                review.said += about
            review.said += revised[mine]

    def _remarks(
        self, purpose: str, cases: Sequence[tuple[Item, int, Response]], context: Context
    ) -> list[list[Response]]:
        """What drawn critics say about each (item, author, answer), in pool order, in one batch.

        An empty answer has no critics.
        """
        inquiries, counts = [], []
        for item, author, answer in cases:
            counts.append(self.critics if says_something(answer.text) else 0)
            if not counts[-1]:
                continue
            others = [who for who in range(len(context.pool)) if who != author]
            luck = chance(context.seed, f"reviewers {purpose} {author}", item.key)
            for critic in sorted(luck.choice(others, self.critics, replace=False).tolist()):
                write = functools.partial(_critique, item.prompt)
                inquiries.append(Inquiry(critic, item, purpose, write, (answer.text,)))
        said = iter(ask(context, inquiries, self.context_policy))
        return [list(itertools.islice(said, count)) for count in counts]

    def _judge(
        self,
        items: Sequence[Item],
        reviews: Sequence[Review],
        finals: Sequence[Response],
        context: Context,
    ) -> list[Response]:
        """Critics speak about the final answers; the writer gives up those it then thinks wrong.

        An empty answer is not judged, and stays.
        """
        cases = [(item, self.writer, final) for item, final in zip(items, finals, strict=True)]
        remarks = self._remarks("final feedback", cases, context)
        said = [place for place, final in enumerate(finals) if says_something(final.text)]
        inquiries = [_verdict(self.writer, items[i], finals[i], remarks[i]) for i in said]
        fitted = fit(context, inquiries, self.context_policy)
        asks = [(self.writer, one.request) for one in fitted]
        weighed = label_probabilities(context, asks, ("yes", "no"))
        verdicts: dict[int, tuple[float, Response]] = {}
        for place, one, ((right, wrong), usage) in zip(said, fitted, weighed, strict=True):
            word = "no" if wrong > right else "yes"
            asked = Turn("user", one.request.purpose, one.request.messages[0].content)
            turns = (asked, Turn(finals[place].speaker, one.request.purpose, word))
            reply = one.credit(Response(text=word, usage=usage, transcript=turns))
            verdicts[place] = wrong, reply
        results = []
        for place, (review, final) in enumerate(zip(reviews, finals, strict=True)):
            wrong, *judgement = verdicts.get(place, (0.0,))
            abstained = [reply.text for reply in judgement] == ["no"]
            notes = (
                ("chosen", final.speaker),
                ("rounds", self.rounds),
                ("abstained", abstained),
                ("wrong", wrong if judgement else None),
            )
            if abstained:
                final = final.replace(text=ABSTENTION, reasoning="", tokens=(), logprobs=())
            results.append(conclude(final, [*review.said, *remarks[place], *judgement], notes))
        return results


def _critique(question: str, texts: Sequence[str]) -> str:
    return prompts.critique(question, texts[0])


def _revision(
    author: int, item: Item, purpose: str, own: Response, about: Sequence[Response]
) -> Inquiry:
    write = functools.partial(prompts.revise, item.prompt)
    return quote_about(author, item, purpose, write, own.text, [remark.text for remark in about])


def _verdict(judge: int, item: Item, final: Response, about: Sequence[Response]) -> Inquiry:
    write = functools.partial(prompts.judge_remarks, item.prompt)
    return quote_about(judge, item, "judge", write, final.text, [remark.text for remark in about])


@dataclasses.dataclass(frozen=True)
class MultiagentFeedback(Method):
    """All members answer, criticise each other and revise; one writes the final answer.

    Source: Don't Hallucinate, Abstain, arXiv 2402.00367.

    Cost: per item one generation per member in the first round; in every other one, one of each
    author and `feedback_count` of critics per author; one more for the final answer, and the greedy
    dev pass of every member that all methods share. With `abstain`, `feedback_count` more and one
    prompt that is read with two labels after it.

    Departures: critics follow from the run's seed, and all critiques of a round are asked for at
    once. `abstain` is the paper's point, which the reference lacks: critics speak about the final
    answer too, and its writer judges by their remarks whether it is right.

    Attributes:
        round: rounds of answers, the first included; 1 is no feedback.
        feedback_count: critics per answer, drawn among the other members; at most all of them.
        abstain: an answer that its writer, having read the critics, thinks more likely wrong than
            right becomes "I don't know."; for kinds of task that credit it.
        context_policy: what is done with quoted texts that do not fit (see `quoting`): "refuse" the
            prompt, drop the "oldest_first", "shorten" them evenly, or "summarise" them first.
    """

    name: ClassVar[str] = "text_multiagent_feedback"
    needs: ClassVar[Needs] = Needs(members=2)

    round: int = 3
    feedback_count: int = 3
    abstain: bool = False
    context_policy: ContextPolicy = "refuse"

    def __post_init__(self) -> None:
        within(self, "round", 1)
        within(self, "feedback_count", 1)
        one_of(self, "context_policy", POLICIES)

    def check(self, infos: Sequence[MemberInfo], task: TaskInfo) -> None:
        """Abstaining is worth something."""
        super().check(infos, task)
        if self.abstain and task.kind not in CREDIT_ABSTENTION:
            raise NeedsError(
                f"{self.name}: abstain gives answers up, which only tasks of kind "
                f"{', '.join(CREDIT_ABSTENTION)} credit, and this one is {task.kind}"
            )

    def fit(self, bench: Workbench) -> System:
        """Finds the best member on dev."""
        return Feedback(
            writer=bench.best(),
            rounds=self.round,
            critics=min(self.feedback_count, len(bench.pool) - 1),
            abstain=self.abstain,
            context_policy=self.context_policy,
        )
