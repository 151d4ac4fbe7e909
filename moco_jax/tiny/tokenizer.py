"""The two tokenizers of the tiny pool: byte-level BPE, trained here on a few lines of text.

`phrases` merges only the words of the prompts, across spaces, so that a whole instruction is a
few tokens while numbers and capitals stay single characters, which small models can count and move.
`everything` merges within words only, as usual tokenizers do, on whole prompts and answers.
"""

import pathlib
from collections.abc import Iterator

import numpy as np

from moco_jax.tiny import protocols, skills, world
from moco_jax.tiny.problems import SKILLS, Problem
from moco_jax.tiny.speech import Speaker

PAD, END, SYSTEM, USER, ASSISTANT = "<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"
SPECIAL_TOKENS = (PAD, END, SYSTEM, USER, ASSISTANT)

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)

SPLIT_CHARACTERS = (
    r"\d|[A-Z](?=[A-Z])|(?<=[A-Z])[A-Z]|(?<=tell me|Question): "
    r"|the(?= answer is \\boxed)| answer(?= is \\boxed)| is(?= \\boxed)"
)
"""Digits, and capitals that stand beside a capital, are tokens of their own; so is what stands
between a question and words before it, or it would begin with other tokens there; and so are the
words of an answer, which members write word by word."""

SPLIT_WORDS = r"\d|[A-Z]| ?[a-z]{1,9}| ?[^A-Za-z\d\s]+|\s+"
"""Digits, capitals, pieces of words, signs, white space."""


BLANKS_PER_ROLE = 200
"""Examples of each role, with digits in place of what is its own."""


def blank(rng: np.random.Generator) -> Problem:
    """A problem of digits, which are tokens of their own and so leave the words around them."""

    def digit(rng: np.random.Generator) -> str:
        return str(rng.integers(10))

    skill, relation = (str(rng.choice(list(names))) for names in (SKILLS, world.WORDINGS))
    return Problem(skill, f"{skill}:{relation}:0:0:0", "0", digit(rng), digit, digit)


def questions() -> Iterator[str]:
    """Every wording of every question, with a 0 for what it is about."""
    for wording in (*skills.SUMS, *skills.DIFFERENCES):
        yield wording.format(a="0", b="0")
    for wordings in skills.WORD_QUESTIONS.values():
        yield from (wording.format(word="0") for wording in wordings)
    for wordings in world.WORDINGS.values():
        for order in world.ORDERS:
            yield from (order.format(wording.format(name="0")) for wording in wordings)


def phrases() -> Iterator[str]:
    """The words of every prompt and reply, with digits for what a problem puts between them."""
    for number, make in enumerate(protocols.PROTOCOLS.values()):
        for index in range(BLANKS_PER_ROLE):
            rng = np.random.default_rng([number, index])
            speaker = Speaker((str(rng.choice(SKILLS)),))
            example = make(speaker, blank(rng), rng)
            yield from (content for _, content in example.messages)
            yield example.answer
    for _ in range(BLANKS_PER_ROLE):
        yield from questions()
        yield from world.syllables()


def everything(seed: int = 0, count: int = 3000) -> Iterator[str]:
    """Prompts and completions as the members meet them, problems included."""
    shares = {name: 1 / len(protocols.PROTOCOLS) for name in protocols.PROTOCOLS}
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        example = protocols.example(Speaker((str(rng.choice(SKILLS)),)), shares, rng)
        yield from (content for _, content in example.messages)
        yield example.answer


def train_tokenizer(texts: Iterator[str], split: str, vocab_size: int):
    """A chat tokenizer (`transformers.PreTrainedTokenizerFast`) with merges learned on `texts`."""
    import tokenizers
    from tokenizers import decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = tokenizers.Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(tokenizers.Regex(split), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=1,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=[SYSTEM, USER, ASSISTANT],
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def build_tokenizer(kind: str, directory: pathlib.Path, vocab_size: int) -> None:
    """Trains a tokenizer and writes it to `directory`.

    Args:
        kind: "phrases", or "everything" for the one that shares no merges with it.
        directory: where `tokenizer.json` and its configuration go.
        vocab_size: upper bound, special tokens included.
    """
    if kind == "phrases":
        tokenizer = train_tokenizer(phrases(), SPLIT_CHARACTERS, vocab_size)
    elif kind == "everything":
        tokenizer = train_tokenizer(everything(), SPLIT_WORDS, vocab_size)
    else:
        raise ValueError(f"no tokenizer kind {kind!r}; there are 'phrases' and 'everything'")
    tokenizer.save_pretrained(directory)
