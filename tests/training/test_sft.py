import jax
import jax.numpy as jnp
import numpy as np
import pytest

from moco_jax.models import lora
from moco_jax.models.config import ModelConfig
from moco_jax.models.decoder import init_params
from moco_jax.models.lora_config import LoraConfig
from moco_jax.training import data, loop, sft

CONFIG = ModelConfig(
    family="llama", vocab_size=32, hidden_size=16, intermediate_size=24, num_layers=1,
    num_heads=2, num_kv_heads=1, max_positions=32, tie_embeddings=True, activation="relu",
)  # fmt: skip
OPTIMIZER = sft.OptimizerSettings(steps=12, learning_rate=1e-2, warmup_steps=2)
SETTINGS = data.DataSettings(tokens_per_batch=24, lengths=(6,), block=8)


def batches():
    return data.batch_dataset(
        range(50),
        lambda n: data.Tokenized([n % 7 + 2, n % 5 + 9, n % 7 + 3, 1], 2),
        SETTINGS,
    )


def equal(one, other) -> bool:
    return jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), one, other))


@pytest.fixture(scope="module")
def step():
    return sft.train_step(sft.full_loss(CONFIG), OPTIMIZER.optimizer())


def fresh() -> sft.TrainState:
    return sft.start(init_params(CONFIG, jax.random.key(0)), OPTIMIZER.optimizer())


def test_the_loss_falls_and_the_state_is_donated(step):
    state, iterator, losses = fresh(), iter(batches()), []
    for _ in range(12):
        before = state
        state, metrics = step(state, None, next(iterator))
        losses.append(float(metrics["loss"]))
    assert losses[-1] < losses[0] - 0.3
    assert before.trained["norm"]["scale"].is_deleted()
    assert int(state.step) == 12


def test_training_leaves_the_callers_weights_alone(step):
    params = init_params(CONFIG, jax.random.key(0))
    step(sft.start(params, OPTIMIZER.optimizer()), None, next(iter(batches())))
    assert not params["norm"]["scale"].is_deleted()


def test_the_schedule_warms_up_and_ends_low():
    schedule = OPTIMIZER.schedule()
    assert schedule(0) == 0
    np.testing.assert_allclose(schedule(2), 1e-2, rtol=1e-6)
    np.testing.assert_allclose(schedule(12), 1e-2 * OPTIMIZER.final_share, rtol=1e-5)


def test_an_adapter_learns_over_a_frozen_base():
    base = init_params(CONFIG, jax.random.key(0))
    adapter = lora.init_adapter(base, LoraConfig(rank=2, alpha=2.0), jax.random.key(1))
    optimizer = OPTIMIZER.optimizer()
    step = sft.train_step(sft.adapted_loss(CONFIG, lora.merge_adapter), optimizer)
    kept, state, iterator = jax.tree.map(jnp.array, base), sft.start(adapter, optimizer), None
    iterator = iter(batches())
    state, _ = step(state, base, next(iterator))
    state, metrics = step(state, base, next(iterator))
    assert equal(base, kept)
    assert metrics["gradient_norm"] > 0
    assert not equal(state.trained, adapter)


def test_a_killed_run_ends_bit_equal(step, tmp_path):
    def run(steps: int, directory: str) -> sft.TrainState:
        settings = loop.LoopSettings(steps=steps, save_every=4, log_every=100)
        return loop.fit(step, fresh(), None, batches(), settings, tmp_path / directory)

    unbroken = run(10, "unbroken")
    run(5, "killed")
    resumed = run(10, "killed")
    assert int(resumed.step) == 10
    assert equal(resumed, unbroken)


def test_a_run_beyond_its_end_is_refused(step, tmp_path):
    loop.fit(step, fresh(), None, batches(), loop.LoopSettings(steps=2), tmp_path)
    with pytest.raises(ValueError, match="trained 2 steps, beyond the 1 asked for"):
        loop.fit(step, fresh(), None, batches(), loop.LoopSettings(steps=1), tmp_path)


def test_a_finished_run_is_not_trained_again(step, tmp_path):
    settings = loop.LoopSettings(steps=3)
    first = loop.fit(step, fresh(), None, batches(), settings, tmp_path)
    again = loop.fit(step, fresh(), None, batches(), settings, tmp_path)
    assert equal(first, again)
