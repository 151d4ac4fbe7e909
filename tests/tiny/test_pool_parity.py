import numpy as np
import pytest

from moco_jax.tiny import tiny_pool_path

pytest.importorskip("torch")
pytest.importorskip("peft")


@pytest.mark.parity
@pytest.mark.parametrize("name", ["math", "words-lora"])
def test_transformers_and_peft_load_the_members_and_agree(name):
    import jax.numpy as jnp
    import peft
    import torch
    import transformers

    from moco_jax.decoding.types import Sampling
    from moco_jax.pool import Pool

    question = "what is 21 + 7?\n\nPut the final answer in \\boxed{}."
    (response,) = Pool.load([f"tiny:{name}"], dtype=jnp.float32).generate(
        [question], Sampling(max_new_tokens=12, temperature=0.0, top_p=1.0)
    )[0]
    base = tiny_pool_path("base" if name.endswith("-lora") else name)
    model = transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    if name.endswith("-lora"):
        model = peft.PeftModel.from_pretrained(model, tiny_pool_path(name))
    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": question}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    written = model.generate(**prompt, max_new_tokens=12, do_sample=False)
    new = written[0, prompt["input_ids"].shape[1] :].numpy()
    np.testing.assert_array_equal(new, response.tokens)
