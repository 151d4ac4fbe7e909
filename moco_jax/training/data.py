"""From examples to padded batches: a grain pipeline with few shapes that can be resumed.

Examples are read by index, tokenized, gathered into blocks, sorted into length buckets inside a
block, and handed out as batches of about the same number of tokens. Rows of padding fill the last
batch of a bucket, so nothing is dropped and every bucket has one shape.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import grain
import numpy as np

from moco_jax.models.tokenizer import ChatTemplate

Array = Any
"""A numpy array on its way to the device, a traced one inside the step."""

PADDING = -1  # Position of a token that is nothing.


class Source(Protocol):
    """Anything that can be read by index; it may make examples up from the index."""

    def __len__(self) -> int:
        """Number of examples."""

    def __getitem__(self, index: int) -> Any:
        """The example at `index`, the same at every call."""


class Example(NamedTuple):
    """One completion to learn.

    Attributes:
        messages: the conversation, ending with the user's turn: (role, content) pairs.
        answer: what the assistant should say to it.
    """

    messages: tuple[tuple[str, str], ...]
    answer: str


class Tokenized(NamedTuple):
    """One example as tokens.

    Attributes:
        tokens: the rendered conversation with the answer and its end token.
        prompt_length: how many of them come before the answer.
    """

    tokens: Sequence[int]
    prompt_length: int


class Batch(NamedTuple):
    """Padded examples of one bucket.

    Attributes:
        tokens: i32[B, S], read by the model.
        positions: i32[B, S], -1 on padding.
        targets: i32[B, S], the tokens that follow.
        weights: f32[B, S], 1 where the target belongs to the answer.
    """

    tokens: Array
    positions: Array
    targets: Array
    weights: Array


@dataclasses.dataclass(frozen=True)
class DataSettings:
    """How examples become batches.

    Attributes:
        seed: of the order in which examples are read and batches of a block are handed out.
        tokens_per_batch: rows times length of every batch, about.
        lengths: the buckets, in tokens, shortest first.
        block: examples that are sorted into buckets together.
        shuffle: whether examples are read in a random order; a source that makes its examples up
            from the index needs none.
    """

    seed: int = 0
    tokens_per_batch: int = 2048
    lengths: tuple[int, ...] = (32, 64)
    block: int = 1024
    shuffle: bool = True

    def rows(self, length: int) -> int:
        """Rows of a batch of the bucket `length`."""
        return max(1, self.tokens_per_batch // length)


def tokenize(template: ChatTemplate, example: Example) -> Tokenized:
    """Renders an example exactly as the decoding engine renders a request, and ends its answer."""
    prompt = template.render(example.messages)
    answer = template.tokenizer.encode(example.answer, add_special_tokens=False)
    return Tokenized([*prompt, *answer, template.tokenizer.eos_token_id], len(prompt))


def pad(examples: Sequence[Tokenized], rows: int, length: int) -> Batch:
    """Examples of at most `length + 1` tokens as a batch: shifted by one, padded on the right."""
    tokens = np.zeros((rows, length), np.int32)
    positions = np.full((rows, length), PADDING, np.int32)
    targets = np.zeros((rows, length), np.int32)
    weights = np.zeros((rows, length), np.float32)
    for row, example in enumerate(examples):
        size = len(example.tokens) - 1
        tokens[row, :size] = example.tokens[:-1]
        positions[row, :size] = np.arange(size)
        targets[row, :size] = example.tokens[1:]
        weights[row, max(example.prompt_length - 1, 0) : size] = 1.0
    return Batch(tokens, positions, targets, weights)


def batches_of(
    examples: Sequence[Tokenized], settings: DataSettings, seed: Sequence[int] = (0,)
) -> list[Batch]:
    """Sorts one block of examples into buckets and cuts every bucket into batches.

    Raises:
        ValueError: an example is longer than the longest bucket.
    """
    buckets: dict[int, list[Tokenized]] = {length: [] for length in settings.lengths}
    for example in examples:
        size = len(example.tokens) - 1
        fitting = [length for length in settings.lengths if size <= length]
        if not fitting:
            raise ValueError(
                f"an example has {size + 1} tokens; the longest bucket takes "
                f"{settings.lengths[-1] + 1}. Add a longer one to DataSettings.lengths, or leave "
                "the example out"
            )
        buckets[fitting[0]].append(example)
    batches = [
        pad(bucket[start : start + settings.rows(length)], settings.rows(length), length)
        for length, bucket in buckets.items()
        for start in range(0, len(bucket), settings.rows(length))
    ]
    order = np.random.default_rng(seed).permutation(len(batches))
    return [batches[index] for index in order]


class _Bucket(grain.experimental.FlatMapTransform):
    """A numbered block of examples becomes its batches."""

    def __init__(self, settings: DataSettings):
        self.settings = settings
        self.max_fan_out = settings.block + len(settings.lengths)

    def flat_map(self, element: tuple[int, Sequence[Tokenized]]) -> Sequence[Batch]:
        """The batches of one block, in an order that depends on its number."""
        number, examples = element
        return batches_of(examples, self.settings, (self.settings.seed, number))


def batch_dataset(
    source: Source, encode: Callable[[Any], Tokenized], settings: DataSettings
) -> grain.IterDataset:
    """Endless batches of a source, epoch after epoch.

    Args:
        source: examples by index.
        encode: renders one example with the model's own chat template, see `tokenize`.
        settings: order, shapes and sizes.

    Returns:
        A grain dataset of `Batch`; its iterator's state is small and can be saved and restored.
    """
    dataset = grain.MapDataset.source(source)
    if settings.shuffle:
        dataset = dataset.shuffle(settings.seed)
    dataset = dataset.repeat().map(encode).batch(settings.block, batch_fn=list)
    numbered = dataset.map_with_index(lambda number, examples: (number, examples))
    return grain.experimental.FlatMapIterDataset(
        numbered.to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=2)),
        _Bucket(settings),
    )
