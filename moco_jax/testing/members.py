"""Random tiny members that exist only in memory, for tests of methods and protocols."""

import pathlib
from typing import Any

import jax
import jax.numpy as jnp

from moco_jax.models.config import ModelConfig
from moco_jax.models.decoder import Params, init_params
from moco_jax.models.identity import fingerprint, with_ends
from moco_jax.models.lora import init_adapter, save_adapter
from moco_jax.models.lora_config import LoraConfig
from moco_jax.models.tokenizer import tokenizer_fingerprint
from moco_jax.pool import Member, MemberInfo, Pool

END = "<|end|>"
ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
SAYS = ("A", "B", "C", "1", "2", END)
"""What dummy members mostly say: answers of `dummy_task`, and the end."""

TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
_LOUDNESS = 3.0


def dummy_tokenizer(backwards: bool = False) -> Any:
    """A `transformers` tokenizer with one token per byte, an end token and a chat template.

    Args:
        backwards: numbers the bytes from the last to the first, which is another vocabulary.
    """
    import tokenizers
    from tokenizers import decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet(), reverse=backwards)
    words = {word: index for index, word in enumerate([END, *ROLES, *letters])}
    core = tokenizers.Tokenizer(models.BPE(vocab=words, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token=END,
        pad_token=END,
        additional_special_tokens=list(ROLES),
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def dummy_member(
    name: str,
    seed: int,
    *,
    tokenizer: Any = None,
    hidden_size: int = 16,
    max_positions: int = 1024,
) -> Member:
    """A random Llama of one layer that mostly says what stands in `SAYS`.

    Its answers depend on the prompt and on the seed, and many of them can be read and scored.

    Args:
        name: how to call it.
        seed: of its weights.
        tokenizer: `dummy_tokenizer()` by default.
        hidden_size: D, a multiple of 8.
        max_positions: its context.
    """
    tokenizer = tokenizer or dummy_tokenizer()
    raw_config = {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "vocab_size": len(tokenizer),
        "hidden_size": hidden_size,
        "intermediate_size": 2 * hidden_size,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": max_positions,
        "tie_word_embeddings": False,
        "eos_token_id": tokenizer.eos_token_id,
    }
    config = ModelConfig.from_hf(raw_config)
    params = _talkative(init_params(config, jax.random.key(seed)), tokenizer)
    info = MemberInfo(
        name=name,
        path="",
        adapter=None,
        config=config,
        raw_config=raw_config,
        generation_config={},
        tokenizer=tokenizer,
    )
    content = fingerprint(params, config, tokenizer_fingerprint(tokenizer))
    return Member(info, params, with_ends(content, info.eos), content)


def _talkative(params: Params, tokenizer: Any) -> Params:
    """Weights under which the prompt matters, and short answers out of `SAYS` are likely."""
    # Weights of 0.02 would hardly react to the prompt
    params = jax.tree.map(lambda leaf: 20 * leaf if leaf.ndim > 1 else leaf, params)
    says = jnp.array(tokenizer.convert_tokens_to_ids(list(SAYS)))
    embedding, head = params["embed_tokens"]["embedding"], params["lm_head"]["kernel"]
    # The last token of every prompt: without an embedding it leaves the floor to the others
    embedding = embedding.at[tokenizer.convert_tokens_to_ids(ROLES[-1])].set(0)
    head = head.at[says].mul(_LOUDNESS)
    # Whoever has just said something ends
    head = head.at[tokenizer.eos_token_id].add(_LOUDNESS * embedding[says[:-1]].sum(0))
    params["embed_tokens"]["embedding"] = embedding
    params["lm_head"]["kernel"] = head
    return params


def dummy_pool(count: int = 3, seed: int = 0) -> Pool:
    """Members `dummy:0`, `dummy:1`, ... of one architecture and vocabulary.

    Args:
        count: how many.
        seed: of their weights, which all differ.
    """
    tokenizer = dummy_tokenizer()
    return Pool(
        [
            dummy_member(f"dummy:{index}", 1000 * seed + index, tokenizer=tokenizer)
            for index in range(count)
        ]
    )


def dummy_adapters(directory: pathlib.Path, count: int = 3, seed: int = 0) -> list[str]:
    """Writes LoRA adapters over one dummy base, for `Pool.load`; their ranks and scales differ.

    Args:
        directory: gets `base` and `adapter0`, `adapter1`, ...
        count: how many adapters.
        seed: of their weights, which all differ.

    Returns:
        the adapters' directories.
    """
    base = dummy_member("base", 1000 * seed)
    base.save(directory / "base")
    places = []
    for index in range(count):
        config = LoraConfig(rank=2 + index % 2, alpha=2.0 + index, targets=("v_proj", "down_proj"))
        key, noise = jax.random.split(jax.random.key(1000 * seed + index + 1))
        adapter = init_adapter(base.params, config, key)
        for module, factor in sorted(adapter.factors.items()):
            noise, drawn = jax.random.split(noise)
            factors = factor | {"b": jax.random.normal(drawn, factor["b"].shape)}
            adapter.factors[module] = factors
        places.append(str(directory / f"adapter{index}"))
        save_adapter(places[-1], adapter, "../base")
    return places
