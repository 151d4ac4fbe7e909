"""All answer, a ranker compares the answers in pairs, and a fuser writes one from the best."""

import dataclasses
import functools
import itertools
from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np

from moco_jax.decoding.types import Response
from moco_jax.method import Method, Needs, Workbench
from moco_jax.methods import prompts, quoting
from moco_jax.methods.checks import one_of, within
from moco_jax.methods.helpers import same_model
from moco_jax.methods.labels import as_reply, weigh
from moco_jax.system import Context, System, question
from moco_jax.tasks import Item

LABELS = ("A", "B")


def pair_scores(preferences: np.ndarray, aggregation: str) -> np.ndarray:
    """How good every candidate is, from what a judge said of all ordered pairs.

    Args:
        preferences: f64[N, N] log-odds for the candidate of the row, shown first, against the one
            of the column; the diagonal is 0.
        aggregation: "maxlogits" or "wins".

    Returns:
        f64[N]: mean log-odds against the others, or pairs won (a tie is half of one). Both orders
        of a pair are averaged first, so that a liking for the first place cancels.
    """
    margins = (preferences - preferences.T) / 2
    others = max(len(margins) - 1, 1)
    if aggregation == "maxlogits":
        return margins.sum(axis=1) / others
    wins = (margins > 0) + 0.5 * (margins == 0)
    return wins.sum(axis=1) - 0.5


@dataclasses.dataclass(frozen=True)
class Blend(System):
    """All members answer; one model ranks the answers, one fuses the best.

    An empty answer is neither ranked nor fused.

    Attributes:
        ranker: name of the model that ranks.
        ranker_identity: its identity.
        fuser: name of the model that fuses.
        fuser_identity: its identity.
        top_k: how many answers are fused.
        aggregation: "maxlogits" or "wins".
        fuser_tokens: bound on the fused answer; None takes the run's.
        context_policy: what is done with answers that do not fit.
    """

    ranker: str
    ranker_identity: str
    fuser: str
    fuser_identity: str
    top_k: int
    aggregation: str
    fuser_tokens: int | None
    context_policy: str

    def respond(self, items: Sequence[Item], context: Context) -> list[Response]:
        """The fused answer to every item."""
        size = len(context.pool)
        said = context.ask([(who, question(item)) for item in items for who in range(size)])
        answers = [said[start : start + size] for start in range(0, len(said), size)]
        judged = self._judge(items, answers, context)
        scores = [
            self._scores(row, preferences)
            for row, (preferences, _) in zip(answers, judged, strict=True)
        ]
        orders = [sorted(found, key=lambda who: -found[who])[: self.top_k] for found in scores]
        fused = self._fuse(items, answers, orders, context)
        finals = []
        for index, final in enumerate(fused):
            names = [context.pool[who].name for who in orders[index]]
            notes = (
                ("chosen", final.speaker),
                ("ranker", self.ranker),
                ("ranker_scores", [_rounded(scores[index].get(who)) for who in range(size)]),
                ("fused", names),
            )
            heard = [*answers[index], *judged[index][1], final]
            finals.append(quoting.conclude(final, heard, notes))
        return finals

    def _scores(self, said: Sequence[Response], preferences: np.ndarray) -> dict[int, float]:
        """How good the answers are that say anything, by member."""
        who = [index for index, one in enumerate(said) if quoting.says_something(one.text)]
        found = pair_scores(preferences[np.ix_(who, who)], self.aggregation)
        return dict(zip(who, found.tolist(), strict=True))

    def _judge(
        self, items: Sequence[Item], answers: Sequence[Sequence[Response]], context: Context
    ) -> list[tuple[np.ndarray, list[Response]]]:
        """Per item f64[N, N] log-odds for the candidate shown first, and the judgements.

        Equal answers need no judgement: both orders would be the same prompt. One that does not
        fit the ranker is not asked, and prefers nobody.
        """
        ranker = same_model("ranker_model_name", self.ranker, self.ranker_identity, context.pool)
        pairs = [
            (number, first, second)
            for number, row in enumerate(answers)
            for first, second in itertools.permutations(range(len(row)), 2)
            if row[first].text.strip() != row[second].text.strip()
            and quoting.says_something(row[first].text)
            and quoting.says_something(row[second].text)
        ]
        inquiries = [
            quoting.Inquiry(
                ranker,
                items[number],
                "judge",
                functools.partial(_choose, items[number].prompt),
                (answers[number][first].text, answers[number][second].text),
            )
            for number, first, second in pairs
        ]
        # A pair is never compared with one of its two missing
        policy = "shorten" if self.context_policy == "oldest_first" else self.context_policy
        fitted = quoting.fit(context, inquiries, policy)
        weighed = weigh(context, [(one.who, one.request) for one in fitted], LABELS)
        size = len(context.pool)
        judged: list[tuple[np.ndarray, list[Response]]] = [
            (np.zeros((size, size)), []) for _ in items
        ]
        for (number, *place), one, found in zip(pairs, fitted, weighed, strict=True):
            preferences, heard = judged[number]
            preferences[tuple(place)] = found.logprobs[0] - found.logprobs[1]
            heard.append(one.credit(as_reply(context, (one.who, one.request), found, LABELS)))
        return judged

    def _fuse(
        self,
        items: Sequence[Item],
        answers: Sequence[Sequence[Response]],
        orders: Sequence[Sequence[int]],
        context: Context,
    ) -> list[Response]:
        fuser = same_model("fuser_model_name", self.fuser, self.fuser_identity, context.pool)
        inquiries = [
            quoting.quote(
                fuser,
                item,
                "fuse",
                functools.partial(_fuse_prompt, item),
                [said[who].text for who in reversed(order)],
            )
            for item, said, order in zip(items, answers, orders, strict=True)
        ]
        sampling = context.sampling
        if self.fuser_tokens is not None:
            sampling = dataclasses.replace(sampling, max_new_tokens=self.fuser_tokens)
        return quoting.ask(context, inquiries, self.context_policy, sampling)


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 6)


def _choose(asked: str, quotes: Sequence[str]) -> str:
    return prompts.choose(asked, *quotes)


def _fuse_prompt(item: Item, worst_first: Sequence[str]) -> str:
    return prompts.remind(prompts.fuse(item.prompt, worst_first[::-1]), item.kind)


@dataclasses.dataclass(frozen=True)
class LlmBlender(Method):
    """A ranker compares the members' answers in pairs, and a fuser writes one from the best few.

    Source: LLM-Blender, arXiv 2306.02561; ranker and fuser are prompted, not trained.

    Cost: one generation per member and item, one per item for the fuser, and one reading of two
    answers for each ordered pair of members that answer differently; where no model is named, the
    greedy dev pass of every member that all methods share.

    Departures: as in the paper, every pair is judged in both orders, by the probabilities of the
    labels "A" and "B", and their log-odds are averaged; the reference judges one order and takes
    the first A or B in a sampled reply. Where no ranker or fuser is named, it is the best member on
    dev; the reference names a model outside of the pool and the pool's first member. Training
    either on dev is not offered. `aggregation` and `context_policy` are additions.

    Attributes:
        top_k: how many answers are fused, the best ones; at most as many as there are members.
        ranker_model_name: a member, or any checkpoint; None is the best member on dev.
        fuser_model_name: a member, or any checkpoint; None is the best member on dev.
        fuser_max_response_length: bound on the tokens of the fused answer; None is the run's.
        train_ranker_on_dev: must be false.
        train_fuser_on_dev: must be false.
        aggregation: "maxlogits" ranks by mean log-odds against the others, "wins" by pairs won.
        context_policy: what is done with answers that do not fit (see `quoting`); a pair that is
            refused prefers nobody.
    """

    name: ClassVar[str] = "text_llm_blender"
    needs: ClassVar[Needs] = Needs(members=2)

    top_k: int = 3
    ranker_model_name: str | None = None
    fuser_model_name: str | None = None
    fuser_max_response_length: int | None = None
    train_ranker_on_dev: bool = False
    train_fuser_on_dev: bool = False
    aggregation: Literal["maxlogits", "wins"] = "maxlogits"
    context_policy: quoting.ContextPolicy = "refuse"

    def __post_init__(self) -> None:
        within(self, "top_k", 1)
        one_of(self, "aggregation", ("maxlogits", "wins"))
        one_of(self, "context_policy", quoting.POLICIES)
        if self.fuser_max_response_length is not None:
            within(self, "fuser_max_response_length", 1)
        for field in ("train_ranker_on_dev", "train_fuser_on_dev"):
            if getattr(self, field):
                raise ValueError(
                    f"{self.name}: {field} is true, and training on dev is not offered yet; set it "
                    f"to false and name a trained checkpoint with {field[6:-7]}_model_name"
                )

    def helpers(self) -> dict[str, str]:
        """The ranker and the fuser, where they are named."""
        named = {"ranker": self.ranker_model_name, "fuser": self.fuser_model_name}
        return {role: name for role, name in named.items() if name is not None}

    def fit(self, bench: Workbench) -> System:
        """Finds the ranker and the fuser."""
        ranker, fuser = (
            bench.pool.find(name) if name is not None else bench.pool[bench.best()]
            for name in (self.ranker_model_name, self.fuser_model_name)
        )
        return Blend(
            ranker=ranker.name,
            ranker_identity=ranker.identity,
            fuser=fuser.name,
            fuser_identity=fuser.identity,
            top_k=self.top_k,
            aggregation=self.aggregation,
            fuser_tokens=self.fuser_max_response_length,
            context_policy=self.context_policy,
        )
