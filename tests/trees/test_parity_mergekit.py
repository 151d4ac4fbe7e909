"""The same safetensors merged by mergekit and by this library give the same tensors."""

import jax
import numpy as np
import pytest
import safetensors.numpy

from moco_jax import testing
from moco_jax.methods.weight.disk import merge_checkpoints
from moco_jax.models.checkpoint import Checkpoint, save_checkpoint
from moco_jax.models.config import ModelConfig
from moco_jax.models.decoder import init_params
from moco_jax.trees import Karcher, Linear, ModelStock, Slerp, TaskVectorMerge

pytestmark = pytest.mark.parity

RAW = {
    "model_type": "llama",
    "vocab_size": 260,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "tie_word_embeddings": False,
}
WEIGHTS = (0.5, 1.0, 0.25)


def tuned(base, seed):
    rng = np.random.default_rng(seed)
    # Norms too: equal changes would have no order of magnitude
    return jax.tree.map(
        lambda leaf: np.asarray(leaf + 0.01 * rng.normal(size=leaf.shape), np.float32), base
    )


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A base and three models tuned from it, with noise of its own each."""
    folder = tmp_path_factory.mktemp("models")
    config = ModelConfig.from_hf(RAW)
    base = init_params(config, jax.random.key(0))
    tokenizer = testing.dummy_tokenizer()
    for index in range(4):
        params = tuned(base, index) if index else base
        save_checkpoint(folder / str(index), Checkpoint(config, params, RAW), tokenizer)
    return [folder / str(index) for index in range(4)]


def theirs(models, out, method, base=True, parameters=None, each=None, count=3):
    yaml_config = pytest.importorskip("mergekit.config")
    merge = pytest.importorskip("mergekit.merge")
    options = pytest.importorskip("mergekit.options")
    entries = [
        {"model": str(path), "parameters": {k: v[index] for k, v in (each or {}).items()}}
        for index, path in enumerate(models[1 : 1 + count])
    ]
    config = yaml_config.MergeConfiguration.model_validate(
        {
            "merge_method": method,
            "models": entries,
            "dtype": "float32",
            "parameters": parameters or {},
            **({"base_model": str(models[0])} if base is True else {}),
            **({"base_model": str(base)} if not isinstance(base, bool) else {}),
        }
    )
    settings = options.MergeOptions(quiet=True, write_model_card=False, copy_tokenizer=False)
    merge.run_merge(config, str(out), settings)
    return safetensors.numpy.load_file(out / "model.safetensors")


def same(models, tmp_path, rule, count=3, base=True, tolerance=2e-6, **asked):
    wanted = theirs(models, tmp_path / "theirs", count=count, base=base, **asked)
    used = models[0] if base is True else None
    merge_checkpoints(models[1 : 1 + count], used, rule, tmp_path / "ours")
    got = safetensors.numpy.load_file(tmp_path / "ours" / "model.safetensors")
    assert set(got) == set(wanted)
    for name, tensor in wanted.items():
        np.testing.assert_allclose(got[name], tensor, rtol=tolerance, atol=tolerance, err_msg=name)


def test_linear(models, tmp_path):
    rule = Linear(weights=WEIGHTS)
    each = {"weight": WEIGHTS}
    asked = {"method": "linear", "parameters": {"normalize": False}, "each": each}
    same(models, tmp_path, rule, base=False, **asked)


def test_task_arithmetic(models, tmp_path):
    rule = TaskVectorMerge(weights=WEIGHTS, lambda_=0.7)
    asked = {"parameters": {"lambda": 0.7}, "each": {"weight": WEIGHTS}}
    same(models, tmp_path, rule, method="task_arithmetic", **asked)


@pytest.mark.parametrize("normalize", [True, False])
def test_ties(normalize, models, tmp_path):
    rule = TaskVectorMerge("magnitude", 0.3, elect=True, normalize=normalize, weights=WEIGHTS)
    each = {"weight": WEIGHTS, "density": (0.3,) * 3}
    same(models, tmp_path, rule, method="ties", parameters={"normalize": normalize}, each=each)


def test_breadcrumbs(models, tmp_path):
    rule = TaskVectorMerge("outliers", 0.5, gamma=0.1, weights=WEIGHTS)
    each = {"weight": WEIGHTS, "density": (0.5,) * 3, "gamma": (0.1,) * 3}
    same(models, tmp_path, rule, method="breadcrumbs", each=each)


def test_slerp(models, tmp_path):
    asked = {"method": "slerp", "parameters": {"t": 0.3}, "base": models[1]}
    same(models, tmp_path, Slerp(0.3), count=2, **asked)


def test_model_stock(models, tmp_path):
    same(models, tmp_path, ModelStock(), method="model_stock", tolerance=1e-5)


def test_karcher(models, tmp_path):
    # Its arccos is in float32 over whole tensors, ours over their inner products
    same(models, tmp_path, Karcher(), base=False, method="karcher", tolerance=1e-4)
