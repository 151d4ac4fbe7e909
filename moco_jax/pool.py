"""The pool: an ordered list of members, and what is known of each before its weights are read."""

import dataclasses
import functools
import hashlib
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from absl import logging

from moco_jax.decoding.engine import Engine
from moco_jax.decoding.placement import Placement
from moco_jax.decoding.population import Population, Variant
from moco_jax.decoding.types import Request, Response, Sampling, several
from moco_jax.models import lora, lora_files
from moco_jax.models import tokenizer as words
from moco_jax.models.checkpoint import (
    Checkpoint,
    CheckpointReader,
    load_checkpoint,
    open_checkpoint,
    save_checkpoint,
)
from moco_jax.models.checkpoint_files import fetch, files_state
from moco_jax.models.config import ModelConfig
from moco_jax.models.decoder import untied
from moco_jax.models.identity import adapted_identity, fingerprint, with_ends
from moco_jax.models.memory import INT8
from moco_jax.models.quantize import (
    is_quantized,
    load_quantized,
    quantize,
    refuse_quantized,
)
from moco_jax.tiny.registry import PREFIX, tiny_pool_path

PyTree = Any


@dataclasses.dataclass(frozen=True, eq=False)
class MemberInfo:
    """A member before its weights are read.

    Attributes:
        name: what the user called it; a second one of the same name gets a suffix `#2`.
        path: absolute directory or hub id of the full checkpoint (of an adapter: of its base).
        adapter: absolute directory of a LoRA adapter to merge in, or None.
        config: the architecture. A base that ties its embeddings is untied under an adapter of
            either end.
        raw_config: the checkpoint's `config.json`, likewise.
        generation_config: the checkpoint's `generation_config.json`, or empty.
        tokenizer: a `transformers` tokenizer.
    """

    name: str
    path: str
    adapter: str | None
    config: ModelConfig
    raw_config: dict[str, Any]
    generation_config: dict[str, Any]
    tokenizer: Any

    @functools.cached_property
    def place(self) -> tuple[str, str | None]:
        """Where its weights come from: a checkpoint, and an adapter over it if there is one.

        Members of one place are one model, whatever they are called; one that was made in memory
        stands under its name.
        """
        return _resolved(self.path or self.name), self.adapter and _resolved(self.adapter)

    def files_state(self) -> list[Any]:
        """Path, size and time of change of all files its weights are read from."""
        return [files_state(place) for place in (self.path, self.adapter) if place]

    @functools.cached_property
    def template(self) -> words.ChatTemplate:
        """Renders conversations as token ids."""
        return words.ChatTemplate(self.tokenizer)

    @functools.cached_property
    def eos(self) -> tuple[int, ...]:
        """Token ids that end an answer."""
        return words.eos_ids(self.tokenizer, self.raw_config, self.generation_config)

    def untied(self) -> "MemberInfo":
        """The same model with an output layer of its own, which is a copy of the embedding."""
        if not self.config.tie_embeddings:
            return self
        return dataclasses.replace(
            self,
            config=dataclasses.replace(self.config, tie_embeddings=False),
            raw_config={**self.raw_config, "tie_word_embeddings": False},
        )


def _resolved(place: str) -> str:
    """A directory by its one name; hub ids stay as they are."""
    path = pathlib.Path(place).expanduser()
    return str(path.resolve()) if path.is_dir() else place


def inspect(source: str, name: str | None = None) -> MemberInfo:
    """Reads config and tokenizer of a member, not its weights.

    Args:
        source: `tiny:<name>`, a checkpoint directory, a LoRA adapter directory, or a hub id.
        name: how to call it; `source` by default.

    Raises:
        ValueError: it is not a checkpoint we can load; the message says why.
    """
    place = str(tiny_pool_path(source)) if source.startswith(PREFIX) else source
    adapter = _adapter(place)
    if adapter is None:
        checkpoint = open_checkpoint(place)
    else:
        place = lora_files.adapter_base(adapter.directory)
        checkpoint = _open_base(place, adapter)
    own = adapter is not None and words.has_tokenizer(adapter.directory)
    speaks = adapter.directory if adapter is not None and own else checkpoint.directory
    local = pathlib.Path(place).expanduser()
    info = MemberInfo(
        name=name or source,
        path=str(local.resolve()) if local.is_dir() else place,
        adapter=None if adapter is None else str(adapter.directory),
        config=checkpoint.config,
        raw_config=checkpoint.raw_config,
        generation_config=checkpoint.generation_config,
        tokenizer=words.load_tokenizer(speaks),
    )
    if adapter is not None:
        info = info.untied() if adapter.unties else info
        adapter.check(info.config)
    if not info.template.source:
        logging.warning("%s has no chat template: it gets plain text without roles", source)
    return info


def _adapter(place: str) -> lora_files.AdapterReader | None:
    """The adapter at a directory or hub id, or None where a whole model stands."""
    directory = fetch(place, weights=False)
    if not (directory / lora.CONFIG_FILE).is_file():
        return None
    # Whether whole weights stand beside it is seen when all files are there
    directory = fetch(place)
    if not lora_files.is_adapter_dir(directory):
        return None
    return lora_files.open_adapter(directory.resolve())


def _open_base(place: str, adapter: lora_files.AdapterReader) -> CheckpointReader:
    try:
        return open_checkpoint(place)
    except ValueError as error:
        raise ValueError(
            f"the base of the adapter {adapter.directory} cannot be loaded: {error} Its "
            f"{lora.CONFIG_FILE} names {place!r} as base_model_name_or_path; if the base is "
            "elsewhere now, write its path or hub id there."
        ) from error


def inspect_all(sources: Sequence[str]) -> list[MemberInfo]:
    """Infos of a pool in order, with unique names."""
    known: dict[str, MemberInfo] = {}
    infos = []
    for index, source in enumerate(sources):
        again = list(sources[:index]).count(source)
        if not again:
            known[source] = inspect(source)
        name = f"{source}#{again + 1}" if again else source
        infos.append(dataclasses.replace(known[source], name=name))
    return infos


def in_bank(info: MemberInfo, infos: Sequence[MemberInfo]) -> bool:
    """Whether an inspected member is one of several adapters over one base in its pool."""
    adapters = {one.adapter for one in infos if one.path == info.path and one.adapter}
    return bool(info.adapter) and len(adapters) > 1


def shared_vocabulary(members: Sequence[MemberInfo]) -> int:
    """Size of the vocabulary that members share; raises ValueError naming the first mismatch."""
    return words.shared_vocabulary(
        [member.tokenizer for member in members], [member.name for member in members]
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Member:
    """One language model, ready to answer.

    Attributes:
        info: what it is.
        weights: on device, one leaf per checkpoint tensor; or its place in a population.
        identity: hash of tensors, config, tokenizer and end tokens (or of the recipe that made it).
        draws: what its random draws follow from: the hash without the end tokens; a member made of
            others draws as the one that it was derived from. The identity by default.
    """

    info: MemberInfo
    weights: PyTree | Variant = dataclasses.field(repr=False)
    identity: str
    draws: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "draws", self.draws or self.identity)

    @property
    def variant(self) -> Variant | None:
        """Its place in a population, or None."""
        return self.weights if isinstance(self.weights, Variant) else None

    @property
    def params(self) -> PyTree:
        """Its weights, one leaf per checkpoint tensor; those of a variant are made when asked."""
        return self.weights.params if isinstance(self.weights, Variant) else self.weights

    @property
    def dtype(self) -> str:
        """Name of its weights' type; "int8" where linear layers are rounded to it."""
        held = self.weights
        params = held.population.params if isinstance(held, Variant) else held
        return INT8 if is_quantized(params) else str(jax.tree.leaves(params)[0].dtype)

    @property
    def name(self) -> str:
        """What the user called it."""
        return self.info.name

    @property
    def config(self) -> ModelConfig:
        """The architecture."""
        return self.info.config

    @property
    def tokenizer(self) -> Any:
        """A `transformers` tokenizer."""
        return self.info.tokenizer

    @property
    def template(self) -> words.ChatTemplate:
        """Renders conversations as token ids."""
        return self.info.template

    @property
    def eos(self) -> tuple[int, ...]:
        """Token ids that end an answer."""
        return self.info.eos

    @property
    def generation_config(self) -> dict[str, Any]:
        """The checkpoint's own sampling settings."""
        return self.info.generation_config

    @classmethod
    def load(
        cls, info: MemberInfo, dtype: Any = None, placement: Placement | None = None
    ) -> "Member":
        """Reads the weights.

        Args:
            info: whose.
            dtype: None takes float32 on CPU and bfloat16 on accelerators; "int8" rounds the
                kernels of linear layers, an adapter merged in before, and leaves the rest so.
            placement: the devices they are cut over; None is the default device.
        """
        return cls(info, *_load(info, dtype, placement or Placement()))

    def derive(self, name: str, params: PyTree | Variant, recipe: str) -> "Member":
        """A member with this one's architecture and tokenizer, and weights made by a recipe.

        It draws as this one does.

        Args:
            name: how to call it.
            params: its weights, or its place in a population.
            recipe: names everything that made them; becomes part of the identity.

        Raises:
            ValueError: the weights are int8.
        """
        if not isinstance(params, Variant):
            refuse_quantized(params, f"{name}, made from weights,")
        identity = hashlib.sha256(f"{self.identity} {recipe}".encode()).hexdigest()
        info = dataclasses.replace(self.info, name=name, adapter=None)
        return Member(info, params, identity, self.draws)

    def untied(self) -> "Member":
        """The same model with an output layer of its own, which is a copy of the embedding."""
        info = self.info.untied()
        if info is self.info:
            return self
        return dataclasses.replace(self, info=info, weights=untied(self.params))

    def save(self, directory: pathlib.Path) -> None:
        """Writes a directory that `transformers` and `inspect` load.

        Raises:
            ValueError: the weights are int8.
        """
        info = self.info
        refuse_quantized(self.params, f"saving {self.name} as a checkpoint")
        save_checkpoint(
            directory,
            Checkpoint(info.config, self.params, info.raw_config, "", info.generation_config),
            tokenizer=info.tokenizer,
        )


def _load(info: MemberInfo, dtype: Any, placement: Placement) -> tuple[PyTree, str, str]:
    """A member's weights where they are to stand, its identity, and what its draws follow from."""
    with placement.loading():
        params = _read(info, dtype)
    content = fingerprint(params, info.config, words.tokenizer_fingerprint(info.tokenizer))
    return placement.params(info.config, params), with_ends(content, info.eos), content


def _read(info: MemberInfo, dtype: Any) -> PyTree:
    small = str(dtype) == INT8
    dtype = default_dtype() if small or dtype is None else jnp.dtype(dtype)
    whole = load_quantized if small and not info.adapter else _read_whole
    params = whole(info.path, dtype)
    if not (info.config.tie_embeddings or info.config.num_labels):
        params = untied(params)
    if info.adapter:
        params = lora.merge_adapter(params, lora_files.load_adapter(info.adapter, base=params))
        params = quantize(params) if small else params
    return params


def _read_whole(path: str, dtype: Any) -> PyTree:
    return load_checkpoint(path, dtype).params


def variants(
    base: Member,
    names: Sequence[str],
    recipes: Sequence[str],
    *,
    adapters: Sequence[lora.Adapter] | None = None,
    params: PyTree | None = None,
) -> list[Member]:
    """Members of one population: their requests are answered side by side in one program.

    Args:
        base: a member of their architecture and tokenizer.
        names: how to call each.
        recipes: name everything that made each; become part of the identities.
        adapters: one over `base` for each; its weights are held once.
        params: or full weights, every leaf with a leading axis [N, ...].

    Raises:
        ValueError: there are both or neither of `adapters` and `params`, or their number is not
            that of the names.
    """
    if (adapters is None) == (params is None):
        raise ValueError("variants are made of adapters or of params; pass one of the two")
    if adapters is not None:
        population = Population(base.params, lora.stack_adapters(adapters), len(adapters))
    else:
        population = Population(params, None, len(jax.tree.leaves(params)[0]))
    if not len(names) == len(recipes) == population.size:
        raise ValueError(
            f"{len(names)} names and {len(recipes)} recipes for a population of {population.size}"
        )
    return [
        base.derive(name, Variant(population, place), recipe)
        for place, (name, recipe) in enumerate(zip(names, recipes, strict=True))
    ]


def _load_bank(base: Member, infos: Sequence[MemberInfo]) -> list[Member]:
    """Members that are adapters over one base."""
    untie = any(not info.config.tie_embeddings for info in infos)
    params = untied(base.params) if untie else base.params
    adapters = []
    for place in (info.adapter for info in infos if info.adapter):
        adapters.append(lora_files.load_adapter(place, base=params))
        lora.check_fit(params, adapters[-1], place)
    population = Population(params, lora.stack_adapters(adapters), len(adapters))
    known = {words.tokenizer_fingerprint(base.tokenizer): base.tokenizer}
    found = []
    for number, (info, adapter) in enumerate(zip(infos, adapters, strict=True)):
        rules = words.tokenizer_fingerprint(info.tokenizer)
        # One architecture and one tokenizer object, so that they share batches
        info = info.untied() if untie else info
        info = dataclasses.replace(info, tokenizer=known.setdefault(rules, info.tokenizer))
        content = adapted_identity(base.draws, adapter, rules)
        identity = with_ends(content, info.eos)
        found.append(Member(info, Variant(population, number), identity, content))
    return found


def _home(member: Member) -> jax.Device | None:
    """The one device that holds a member's weights; None where they are cut over several."""
    held = member.weights
    params = held.population.params if isinstance(held, Variant) else held
    devices = jax.tree.leaves(params)[0].devices()
    return next(iter(devices)) if len(devices) == 1 else None


def default_dtype() -> Any:
    """float32 on CPU, bfloat16 on accelerators."""
    return jnp.dtype(jnp.float32 if jax.default_backend() == "cpu" else jnp.bfloat16)


class Pool:
    """An ordered list of members; a checkpoint may stand in it twice."""

    def __init__(self, members: Sequence[Member], placement: Placement | None = None):
        if not members:
            raise ValueError("a pool needs at least one member; pass --models=NAME,NAME,...")
        self.members = tuple(members)
        self._placement = placement
        self._others: dict[tuple[str, str | None], tuple[list[Any], Member]] = {}
        self._helpers: dict[str, MemberInfo] | None = None

    @classmethod
    def load(
        cls, sources: str | Sequence[str], dtype: Any = None, placement: Placement | None = None
    ) -> "Pool":
        """Loads members by name: `tiny:<name>`, directory, LoRA adapter directory, or hub id.

        Every member's files are checked before the first weights are read, and a source that
        stands twice is read once.

        Args:
            sources: the names; a string is one.
            dtype: of the weights; None takes float32 on CPU and bfloat16 on accelerators.
            placement: the devices they are cut over; None is the default device.
        """
        return cls.of(inspect_all(several(sources)), dtype, placement)

    @classmethod
    def of(
        cls,
        infos: Sequence[MemberInfo],
        dtype: Any = None,
        placement: Placement | None = None,
    ) -> "Pool":
        """Loads the weights of inspected members.

        Several adapters over one base become a bank: the base is read and held once, and their
        requests are answered together. A lone adapter is merged into its base.
        """
        adapters: dict[str, dict[str, MemberInfo]] = {}
        for info in infos:
            if info.adapter:
                adapters.setdefault(info.path, {}).setdefault(info.adapter, info)
        bases: dict[str, Member] = {}
        loaded: dict[tuple[str, str | None], Member] = {}
        members = []
        for info in infos:
            place = info.path, info.adapter
            together = adapters.get(info.path, {})
            if info.path not in bases and (info.adapter is None or len(together) > 1):
                # A base has its own tokenizer, whatever its adapters speak with
                own = [one for one in infos if one.path == info.path and one.adapter is None]
                base = own[0] if own else inspect(info.path)
                bases[info.path] = Member.load(base, dtype, placement)
            if place not in loaded:
                if info.adapter is None:
                    loaded[place] = bases[info.path]
                elif len(together) == 1:
                    loaded[place] = Member.load(info, dtype, placement)
                else:
                    bank = _load_bank(bases[info.path], list(together.values()))
                    loaded |= {(info.path, member.info.adapter): member for member in bank}
            info = dataclasses.replace(loaded[place].info, name=info.name)
            members.append(dataclasses.replace(loaded[place], info=info))
        return cls(members, placement)

    def __len__(self) -> int:
        return len(self.members)

    def __getitem__(self, index: int) -> Member:
        return self.members[index]

    def __iter__(self) -> Iterator[Member]:
        return iter(self.members)

    @property
    def names(self) -> list[str]:
        """Names in order."""
        return [member.name for member in self.members]

    def with_helpers(self, helpers: Mapping[str, MemberInfo]) -> "Pool":
        """This pool for one method: `find` knows the models it declares, and no others.

        Args:
            helpers: what is known of them, by the names that the method gives them.
        """
        view = Pool(self.members, self._placement)
        # What one method has loaded, the next one need not
        view._others, view._helpers = self._others, dict(helpers)
        return view

    def find(self, name: str) -> Member:
        """The member called `name`, or else the model of that name, loaded once as members are.

        One that is a member under another name is that member; one whose files have changed is
        loaded again.

        Args:
            name: of a member, or whatever `load` takes.

        Raises:
            ValueError: it is neither, or a method asks for a model that it has not declared.
        """
        if name in self.names:
            return self.members[self.names.index(name)]
        if self._helpers is not None and name not in self._helpers:
            raise ValueError(
                f"{name} is neither a member nor a helper that the method declares; name it in "
                "the method's helpers(), so that checks, plans and the run's identity count it"
            )
        info = inspect(name) if self._helpers is None else self._helpers[name]
        for member in self.members:
            if member.info.place == info.place:
                return member
        state, known = info.files_state(), self._others.get(info.place)
        if known is None or known[0] != state:
            first = self.members[0]
            # Of the pool's own kind, and where its weights are: a plan has members that read no
            # weights, and those of a pool too large for the devices wait in host memory
            with jax.default_device(_home(first)):
                found = type(first).load(info, first.dtype, self._placement)
            self._others[info.place] = state, found
        return self._others[info.place][1]

    def generate(
        self, prompts: str | Sequence[str], sampling: Sampling | None = None, seed: int = 0
    ) -> list[list[Response]]:
        """Every member's answer to every prompt, [member][prompt]; a string is one prompt."""
        engine = Engine(seed=seed)
        requests = [Request.user(prompt) for prompt in several(prompts)]
        asked = sampling or Sampling()
        return [engine.ask([member] * len(requests), requests, asked) for member in self.members]

    def score(
        self, prompts: str | Sequence[str], continuations: str | Sequence[str]
    ) -> list[list[tuple[float, ...] | None]]:
        """Log-probability of every token of each continuation, [member][prompt][token].

        Prompt and continuation are encoded together. There is None where a member's context does
        not hold both.

        Args:
            prompts: what the user said; a string is one.
            continuations: one for each prompt, a string being one.

        Raises:
            ValueError: there are not as many continuations as prompts, or one has no tokens.
        """
        engine = Engine()
        requests = [Request.user(prompt) for prompt in several(prompts)]
        texts = several(continuations)
        if len(texts) != len(requests):
            raise ValueError(
                f"there are {len(requests)} prompts and {len(texts)} continuations; give one "
                "continuation for each prompt"
            )
        return [engine.score([member] * len(requests), requests, texts) for member in self.members]
