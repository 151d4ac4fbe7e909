"""A small generator writes; at some words it is shown what a mentor would write, and chooses."""

import dataclasses
from collections.abc import Sequence
from typing import ClassVar, Literal

from moco_jax.decoding.floor import Protocol
from moco_jax.decoding.types import Response
from moco_jax.method import Method, Needs, Workbench
from moco_jax.methods.api.mentor_words import LONGEST, WordByWord, by_label, by_token
from moco_jax.methods.api.words import some_words
from moco_jax.methods.checks import one_of, within
from moco_jax.system import Context, System, question
from moco_jax.tasks import Item

VERIFIERS = {"logprob": by_label, "generate": by_token}


@dataclasses.dataclass(frozen=True)
class Mentored(System):
    """The first member writes, the second is its mentor.

    Attributes:
        share: how likely a word is to be compared with the mentor's.
        patch_size: tokens of a continuation.
        decision: "logprob" or "generate".
        max_repeats: choices in a row of one continuation that end the answer; 0 never.
    """

    share: float
    patch_size: int
    decision: str
    max_repeats: int

    def respond(self, items: Sequence[Item], context: Context) -> list[Response]:
        """One greedy answer per item."""
        generator, mentor = context.pool
        protocol = WordByWord(
            (some_words(generator.tokenizer, LONGEST), some_words(mentor.tokenizer, LONGEST)),
            self.share,
            self.patch_size,
            self.max_repeats,
            VERIFIERS[self.decision],
        )
        return context.take_turns(
            range(2),
            [question(item) for item in items],
            Protocol(protocol.play, "mentor collaboration", tuple(dataclasses.astuple(self))),
            sampling=context.sampling.with_greedy(),
        )


@dataclasses.dataclass(frozen=True)
class MentorCollab(Method):
    """A generator writes word by word; at random words it may take a mentor's continuation.

    At each word that is drawn, the mentor is asked for its next word. Where it differs, both write
    `patch_size` tokens ahead, and the generator, shown both as options A and B, chooses.

    Source: MentorCollab, arXiv 2602.05307.

    Cost: one generation by the generator per item, and for a share of `decision_proportion` of its
    words one word of the mentor; where they differ, `patch_size` tokens by both and two forward
    passes of the generator on the options. The mentor reads the whole text once.

    Departures: an end token ends the answer, and so does, where asked for, a continuation that is
    chosen `max_repeats` times in a row (MoCo writes on to the limit). Prompts have each member's
    chat template, what was written so far is the assistant's prefix, and spaces are kept. The
    generator chooses by the probabilities of "A" and "B"; "generate" takes its next token as MoCo
    does, and anything but "B" for A. 25 means 25 %, where MoCo asks in 24 %.
    Decoding is greedy, as there. `mode: "train"`, a trained verifier, is not built yet.

    Attributes:
        decision_proportion: how many words are compared: a percentage if above 1, else a fraction
            (1 is all of them).
        patch_size: tokens of a continuation.
        mode: "free": the generator itself chooses.
        task: which released verifier mode "train" reads; "free" reads none.
        mlp_threshold: how sure that verifier must be of the generator; "free" has none.
        verifier_decision: "logprob" compares the probabilities of both letters; "generate" reads
            the most likely next token.
        max_repeats: the answer ends where the same continuation is chosen so many times in a row;
            0 never. Words that nobody compared may repeat: tables and code do.
    """

    name: ClassVar[str] = "api_mentor_collab"
    needs: ClassVar[Needs] = Needs(members=2, at_most=2)

    decision_proportion: float = 25.0
    patch_size: int = 16
    mode: Literal["free", "train"] = "free"
    task: Literal["General", "Math"] = "General"
    mlp_threshold: float = 0.5
    verifier_decision: Literal["logprob", "generate"] = "logprob"
    max_repeats: int = 0

    def __post_init__(self) -> None:
        within(self, "decision_proportion", 0, 100)
        within(self, "patch_size", 1)
        one_of(self, "mode", ("free", "train"))
        if self.mode == "train":
            raise ValueError(
                f"{self.name}: mode is 'train', which needs a trained verifier, and there is none "
                "here yet; mode='free' lets the generator choose"
            )
        one_of(self, "task", ("General", "Math"))
        within(self, "mlp_threshold", 0, 1)
        one_of(self, "verifier_decision", tuple(VERIFIERS))
        within(self, "max_repeats", 0)

    def fit(self, bench: Workbench) -> System:
        """Nothing to learn."""
        del bench
        share = self.decision_proportion / (100 if self.decision_proportion > 1 else 1)
        return Mentored(share, self.patch_size, self.verifier_decision, self.max_repeats)
