"""Between text and token ids: tokenizers, chat templates, and what marks the end of an answer."""

import dataclasses
import functools
import hashlib
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from moco_jax.models import checkpoint_files
from moco_jax.models.checkpoint_files import PathLike

# Either of these is enough to build a fast tokenizer from
VOCABULARY_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")
THINK, END_THINK = "<think>", "</think>"

# Templates that print today's date would give another prompt tomorrow. The day is the one that
# Llama 3's own template falls back to.
_FIXED_DAY = """{%- macro strftime_now(format) -%}
{{ {"%d %b %Y": "26 Jul 2024", "%Y-%m-%d": "2024-07-26"}.get(format, "26 July 2024") }}
{%- endmacro -%}"""


class Speech(Protocol):
    """Anything with a role ("system", "user", "assistant") and what was said in it."""

    @property
    def role(self) -> str:
        """Who speaks."""

    @property
    def content(self) -> str:
        """What is said."""


class _Turn(NamedTuple):
    role: str
    content: str


Messages = Sequence[Speech | tuple[str, str]]


def has_tokenizer(path: PathLike) -> bool:
    """Whether a directory holds a tokenizer."""
    directory = pathlib.Path(path)
    return any((directory / name).is_file() for name in VOCABULARY_FILES)


def load_tokenizer(path: PathLike) -> Any:
    """Loads the `transformers` fast tokenizer of a directory or a hub id; no code of it is run.

    Raises:
        ValueError: the tokenizer files are missing, or cannot be read; the message says which were
            looked for.
    """
    import transformers

    directory = checkpoint_files.fetch(path, weights=False)
    remedy = "Copy the tokenizer files of the original model into it (save_pretrained writes them)."
    if not has_tokenizer(directory):
        raise ValueError(
            f"{directory} has no tokenizer: looked for {', '.join(VOCABULARY_FILES)}. {remedy}"
        )
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(directory, trust_remote_code=False)
    # The compiled core of the tokenizers library raises nothing more precise
    except Exception as error:
        raise ValueError(
            f"the tokenizer in {directory} cannot be loaded ({type(error).__name__}: {error}). "
            f"{remedy}"
        ) from error
    if not tokenizer.is_fast:
        raise ValueError(
            f"the tokenizer in {directory} is a slow one ({type(tokenizer).__name__}), without "
            "character offsets. Convert it to a tokenizer.json with transformers."
        )
    return tokenizer


@functools.lru_cache(maxsize=64)
def special_tokens(tokenizer: Any) -> Mapping[int, str]:
    """The texts of all tokens that decoding leaves out, by id."""
    added = tokenizer.added_tokens_decoder.items()
    return {int(token): entry.content for token, entry in added if entry.special}


def eos_ids(
    tokenizer: Any,
    config: dict[str, Any] | None = None,
    generation_config: dict[str, Any] | None = None,
) -> tuple[int, ...]:
    """Every token id that ends an answer, by the tokenizer, config.json or generation_config.json.

    They often disagree (a chat model's turn ends with another token than its base model's text),
    and each of them is an end.
    """
    found: set[int] = set()
    sources = (config or {}, generation_config or {})
    for value in (tokenizer.eos_token_id, *(source.get("eos_token_id") for source in sources)):
        found.update(value if isinstance(value, list | tuple) else [value])
    return tuple(sorted(int(token) for token in found - {None}))


@dataclasses.dataclass(frozen=True, eq=False)
class ChatTemplate:
    """Renders conversations as the token ids one model reads.

    Without a chat template (a base model) the turns are plain text: the system prompt and an empty
    line, then the turns, each on lines of its own, and nothing behind the last of them. A single
    user turn is thus the text itself, and the assistant's prefix follows it as its answer would.

    Attributes:
        tokenizer: a `transformers` fast tokenizer.
    """

    tokenizer: Any

    @functools.cached_property
    def source(self) -> str:
        """The Jinja text of the template (the default one of several); "" without one."""
        return self.tokenizer.get_chat_template() if self.tokenizer.chat_template else ""

    @functools.cached_property
    def closing(self) -> str:
        """What the template writes behind an assistant's turn; "" where that cannot be told."""
        said = "what was said"
        if not self.source:
            return ""
        try:
            turns = [_Turn("user", "?"), _Turn("assistant", said)]
            _, found, behind = self._templated(turns, None, finished=True).rpartition(said)
        except ValueError:
            return ""
        return behind if found else ""

    @functools.cached_property
    def _bos(self) -> list[int]:
        """The BOS token where the tokenizer begins a text with it."""
        bos = self.tokenizer.bos_token_id
        begun = self.tokenizer("a", add_special_tokens=True)["input_ids"][:1]
        return begun if bos is not None and begun == [bos] else []

    def text(self, messages: Messages, prefix: str = "", thinking: bool | None = None) -> str:
        """The text that `render` encodes; of a base model, without its BOS.

        Args:
            messages: as in `render`.
            prefix: as in `render`.
            thinking: as in `render`.
        """
        turns = _turns(messages)
        if not self.source:
            return _plain(turns) + prefix
        return self._templated(turns, thinking) + prefix

    def render(
        self, messages: Messages, prefix: str = "", thinking: bool | None = None
    ) -> list[int]:
        """Token ids of a conversation, up to where the assistant goes on.

        The template runs once and writes the special tokens itself, so none is added in encoding.
        A system prompt goes into the first user turn where the template refuses or ignores it.

        Args:
            messages: turns, ending with the user's; objects with `role` and `content`, or pairs.
            prefix: what the assistant has already said, put raw behind the generation header.
            thinking: handed to templates that know `enable_thinking`; None leaves their default.

        Raises:
            ValueError: there are no turns, or the template refuses them; with its own reason.
        """
        return self.encode(self.text(messages, prefix, thinking))

    def encode(self, text: str) -> list[int]:
        """Token ids of a conversation that `text` rendered, with whatever was written behind it."""
        bos = [] if self.source else self._bos
        return [*bos, *self._encode(text)["input_ids"]]

    def conversation(self, messages: Messages) -> list[int]:
        """Token ids of a finished conversation, as reward models read it: nobody is to go on.

        Args:
            messages: turns, ending with the assistant's.

        Raises:
            ValueError: there are no turns, or the template refuses them; with its own reason.
        """
        turns = _turns(messages)
        if not self.source:
            return [*self._bos, *self._encode(_plain(turns))["input_ids"]]
        return list(self._encode(self._templated(turns, None, finished=True))["input_ids"])

    def truncate(
        self, messages: Messages, limit: int, prefix: str = "", thinking: bool | None = None
    ) -> tuple[list[int], int]:
        """Renders within `limit` tokens by cutting the middle of what the user said.

        The longest user turn is cut first; system prompt, headers and prefix stay whole. If they
        alone exceed the limit, so does the result.

        Args:
            messages: as in `render`.
            limit: most tokens wanted.
            prefix: as in `render`.
            thinking: as in `render`.

        Returns:
            token ids, and by how many they are fewer than the whole.
        """
        turns = _turns(messages)
        tokens = self.render(turns, prefix, thinking)
        whole = len(tokens)
        users = [index for index, turn in enumerate(turns) if turn.role == "user"]
        for index in sorted(users, key=lambda index: -len(turns[index].content)):
            content = turns[index].content
            spans = self._encode(content, return_offsets_mapping=True)["offset_mapping"]
            dropped = 0
            # Joining the halves may make a token more or less, so the excess is measured again
            while len(tokens) > limit and dropped < len(spans):
                dropped = min(dropped + len(tokens) - limit, len(spans))
                turns[index] = _Turn("user", _without_middle(content, spans, dropped))
                tokens = self.render(turns, prefix, thinking)
        return tokens, whole - len(tokens)

    def _encode(self, text: str, **options: Any) -> Any:
        return self.tokenizer(text, add_special_tokens=False, verbose=False, **options)

    def _templated(self, turns: list[_Turn], thinking: bool | None, finished: bool = False) -> str:
        from jinja2.exceptions import TemplateError

        has_system = turns[0].role == "system"
        try:
            text = self._apply(turns, thinking, finished)
        except TemplateError as error:
            if not has_system:
                raise ValueError(self._refusal(turns, error)) from error
        else:
            # Some templates neither render a system prompt nor complain about it
            if not has_system or turns[0].content.strip() in text:
                return text
        turns = _fold_system(turns)
        try:
            return self._apply(turns, thinking, finished)
        except TemplateError as error:
            raise ValueError(self._refusal(turns, error)) from error

    def _apply(self, turns: list[_Turn], thinking: bool | None, finished: bool) -> str:
        source = self.source
        options = {} if thinking is None else {"enable_thinking": thinking}
        return self.tokenizer.apply_chat_template(
            [turn._asdict() for turn in turns],
            chat_template=_FIXED_DAY + source if "strftime_now" in source else source,
            tokenize=False,
            add_generation_prompt=not finished,
            **(options if "enable_thinking" in source else {}),
        )

    def _refusal(self, turns: list[_Turn], error: Exception) -> str:
        return (
            f"the chat template of {self.tokenizer.name_or_path or 'this tokenizer'} refuses a "
            f"conversation of the roles {', '.join(turn.role for turn in turns)}: {error}. Most "
            "want user and assistant in turn, the user first and last."
        )


def _turns(messages: Messages) -> list[_Turn]:
    if not messages:
        raise ValueError("a conversation without turns cannot be rendered; give at least one.")
    return [
        _Turn(*message) if isinstance(message, tuple) else _Turn(message.role, message.content)
        for message in messages
    ]


def _plain(turns: list[_Turn]) -> str:
    breaks = ["\n\n" if turn.role == "system" else "\n" for turn in turns[:-1]]
    return "".join(turn.content + end for turn, end in zip(turns, [*breaks, ""], strict=True))


def _fold_system(turns: list[_Turn]) -> list[_Turn]:
    """The same conversation with its leading system prompt inside the first user turn."""
    system, *rest = turns
    if not rest or rest[0].role != "user":
        return [_Turn("user", system.content), *rest]
    return [_Turn("user", f"{system.content}\n\n{rest[0].content}"), *rest[1:]]


def _without_middle(text: str, spans: Sequence[tuple[int, int]], dropped: int) -> str:
    """`text` without `dropped` tokens of its middle; `spans` are the tokens' characters."""
    kept = len(spans) - dropped
    left = (kept + 1) // 2
    right = kept - left
    end = spans[left - 1][1] if left else 0
    # Tokens that share one character also share its span
    start = max(spans[-right][0], end) if right else len(text)
    return text[:end] + text[start:]


def inside_thought(text: str, prefix: str = "") -> bool:
    """Whether a rendered prompt leaves the model inside an open `<think>`.

    Args:
        text: from `ChatTemplate.text`, the prefix included.
        prefix: the assistant's prefix. Tags in what the user said mean nothing.
    """
    if THINK in prefix or END_THINK in prefix:
        return prefix.rfind(THINK) > prefix.rfind(END_THINK)
    return text.removesuffix(prefix).rstrip().endswith(THINK)


def split_reasoning(text: str, opened: bool = False) -> tuple[str, str, bool]:
    """Parts generated text at its last `</think>`.

    Args:
        text: as generated.
        opened: the prompt had already opened the thought (see `inside_thought`).

    Returns:
        the reasoning, the answer, and whether the text ends inside the thought (then it has no
        answer).
    """
    thought, closed, answer = text.rpartition(END_THINK)
    if closed:
        return thought.strip().removeprefix(THINK).strip(), answer.lstrip(), False
    if opened or text.lstrip().startswith(THINK):
        return text.strip().removeprefix(THINK).strip(), "", True
    return "", text, False


def shared_vocabulary(tokenizers: Sequence[Any], names: Sequence[str] | None = None) -> int:
    """How many leading token ids mean the same in every tokenizer.

    A vocabulary that only goes on longer than another (added tokens) shares all of the shorter
    one. Special tokens may have different names in one slot, as reserved ones do once a finetune
    gives them a purpose.

    Args:
        tokenizers: `transformers` tokenizers.
        names: what to call them in the error.

    Raises:
        ValueError: they are different vocabularies; with the first id where two of them disagree.
    """
    names = names or [tokenizer.name_or_path or "?" for tokenizer in tokenizers]
    first, *others = [_Vocabulary.of(tokenizer) for tokenizer in tokenizers]
    sizes = [first.size]
    for other, name in zip(others, names[1:], strict=True):
        size = min(first.size, other.size)
        for token in range(size):
            if not first.agrees(other, token):
                raise ValueError(
                    f"{names[0]} and {name} have different vocabularies: token id {token} is "
                    f"{first.words.get(token)!r} in the one and {other.words.get(token)!r} in the "
                    "other. Mixing logits needs members with one tokenizer; use members of one "
                    "model family, or a method that exchanges text."
                )
        sizes.append(size)
    return min(sizes)


class _Vocabulary(NamedTuple):
    """Token strings by id, ids by string, and which ids are special."""

    words: dict[int, str]
    ids: dict[str, int]
    special: frozenset[int]

    @classmethod
    def of(cls, tokenizer: Any) -> "_Vocabulary":
        ids = tokenizer.get_vocab()
        added = tokenizer.added_tokens_decoder.items()
        special = frozenset(token for token, entry in added if entry.special)
        return cls({token: word for word, token in ids.items()}, ids, special)

    @property
    def size(self) -> int:
        return max(self.words) + 1

    def agrees(self, other: "_Vocabulary", token: int) -> bool:
        """Whether an id is the same token in both, or a special one with another name."""
        mine, theirs = self.words.get(token), other.words.get(token)
        if mine == theirs:
            return True
        # A name that stands elsewhere in the other vocabulary was moved, not given anew
        renamed = mine not in other.ids and theirs not in self.ids
        return renamed and token in self.special and token in other.special


def tokenizer_fingerprint(tokenizer: Any) -> str:
    """Hash (sha256, hex) of all that decides the ids of a text: rules, tokens and chat template."""
    rules = json.loads(tokenizer.backend_tokenizer.to_str())
    # These two are left behind by the last call, not part of the tokenizer
    rules.pop("truncation", None)
    rules.pop("padding", None)
    parts = [rules, tokenizer.chat_template, tokenizer.special_tokens_map]
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
