"""A function becomes a method: flags, caching, restoring, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from moco_jax import testing
from moco_jax.decoding.combine import WEIGHTED_LOGITS
from moco_jax.decoding.engine import Engine
from moco_jax.decoding.source import source_digest
from moco_jax.decoding.types import Request, Sampling
from moco_jax.method import NeedsError
from moco_jax.methods import HyperparameterError, logit_method, make_method, resolve, weight_method
from moco_jax.pool import Pool
from moco_jax.system import restore_system

POOL = testing.dummy_pool(2)
TASK = testing.dummy_task("multiple_choice", 3)
GREEDY = Sampling(max_new_tokens=4, temperature=0.0)
TRACES = []


@logit_method
def tilted(logits, tilt=0.5, power: int = 1):
    """Weighs the first member by `tilt`."""
    TRACES.append(power)
    return (tilt * logits[0] + (1 - tilt) * logits[1]) ** power


@weight_method
def task_vectors(leaf, base, key, scale=1.0, noise: bool = False):
    """Adds scaled task vectors to the base."""
    base = jnp.zeros(leaf.shape[1:]) if base is None else base
    drawn = jax.random.normal(key, base.shape) if noise else 0.0
    return base + scale * (leaf - base).sum(0) + drawn


@logit_method
def misshapen(logits):
    return logits.sum(0)[0]


def bench(pool=POOL, seed=0):
    return testing.workbench(pool, TASK.dev, engine=Engine(width=4), sampling=GREEDY, seed=seed)


def test_hyperparameters_are_the_parameters_with_defaults():
    assert tilted.name == "tilted"
    assert tilted.__doc__ == "Weighs the first member by `tilt`."
    made = make_method(tilted, {"tilt": 1})
    assert (made.tilt, made.power) == (1.0, 1)
    with pytest.raises(HyperparameterError, match="did you mean tilt"):
        make_method(tilted, {"tilts": 1.0})
    with pytest.raises(HyperparameterError, match=r"power is 1\.5; it must be an integer"):
        make_method(tilted, {"power": 1.5})
    assert tilted.function(jnp.ones((2, 1, 3)), 0.5).shape == (1, 3)


def test_a_logit_function_equals_the_same_weights():
    requests = [Request.user(item.prompt, item=item.id) for item in TASK.test.items]
    ours = make_method(tilted, {"tilt": 0.25}).fit(bench()).respond(TASK.test.items, bench())
    theta = np.tile(np.array([0.25, 0.75], np.float32), (3, 1))
    theirs = bench().join([0, 1], requests, WEIGHTED_LOGITS, theta)
    assert [r.tokens for r in ours] == [r.tokens for r in theirs]
    np.testing.assert_allclose(ours[0].logprobs, theirs[0].logprobs, atol=1e-5)


def test_floats_are_data_and_others_are_part_of_the_program():
    def traces_of(**settings):
        before = len(TRACES)
        make_method(tilted, settings).fit(bench()).respond(TASK.test.items, bench())
        return len(TRACES) - before

    traces_of(tilt=0.1)
    assert traces_of(tilt=0.9) == 0
    assert traces_of(tilt=0.9, power=3) > 0


def test_settings_are_part_of_the_cache_key():
    first, second = (make_method(tilted, {"power": power}).combine() for power in (1, 3))
    assert source_digest(first) != source_digest(second)
    assert first.name == second.name  # draws follow from it
    assert make_method(tilted, {"tilt": 0.1}).combine() == make_method(tilted, {}).combine()


def test_a_wrong_shape_is_named():
    with pytest.raises(ValueError, match=r"misshapen gave shape \(\d+,\) for logits \(2, 1, \d+\)"):
        make_method(misshapen, {}).fit(bench()).respond(TASK.test.items, bench())


def test_systems_find_their_function_again(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from moco_jax.methods import logit_method\n\n"
        "@logit_method\ndef loudest(logits, bias=0.0):\n    return logits.max(0) + bias\n"
    )
    system = make_method(resolve(f"{file}:loudest"), {"bias": 1}).fit(bench())
    system.save(tmp_path)
    restored = restore_system(tmp_path)
    assert restored == system
    assert restored.method.bias == 1.0
    ours, theirs = (s.respond(TASK.test.items, bench()) for s in (restored, system))
    assert ours == theirs


def test_a_weight_function_without_base():
    system = make_method(task_vectors, {"scale": 0.5}).fit(bench())
    wanted = sum(np.asarray(member.params["norm"]["scale"]) for member in POOL) / 2
    np.testing.assert_allclose(system.member.params["norm"]["scale"], wanted, rtol=1e-6)


def test_the_base_is_a_member_or_a_checkpoint(tmp_path):
    POOL[0].save(tmp_path / "base")
    for name in ("dummy:0", str(tmp_path / "base")):
        system = make_method(task_vectors, {"base_model": name}).fit(bench())
        for path in ("lm_head", "embed_tokens"):
            first, second, merged = (
                jax.tree.leaves(member.params[path])[0] for member in (*POOL, system.member)
            )
            np.testing.assert_allclose(merged, first + (second - first), rtol=1e-5, atol=1e-5)


def test_a_base_of_another_architecture_is_refused(tmp_path):
    testing.dummy_member("wide", 0, hidden_size=24).save(tmp_path / "wide")
    method = make_method(task_vectors, {"base_model": str(tmp_path / "wide")})
    with pytest.raises(NeedsError, match="hidden_size 24"):
        testing.check(method, POOL, TASK)


def test_draws_of_a_weight_function_follow_the_seed():
    def merged(seed, pool=POOL):
        system = make_method(task_vectors, {"noise": True}).fit(bench(pool, seed))
        return system.member

    once, again, other = merged(0), merged(0), merged(1)
    np.testing.assert_array_equal(once.params["norm"]["scale"], again.params["norm"]["scale"])
    assert once.identity == again.identity != other.identity
    assert np.abs(once.params["norm"]["scale"] - other.params["norm"]["scale"]).max() > 0.01
    assert merged(0, Pool(POOL.members[::-1])).identity != once.identity


def test_what_cannot_be_a_hyperparameter_is_refused():
    with pytest.raises(TypeError, match="parameter 'alpha' has no default"):
        logit_method(lambda logits, alpha: logits[0])
    with pytest.raises(TypeError, match="'shares' defaults to a list"):
        logit_method(lambda logits, shares=[1.0]: logits[0])
    with pytest.raises(TypeError, match="'temperature' already means something"):
        logit_method(lambda logits, temperature=1.0: logits[0])
    with pytest.raises(TypeError, match="'base_model' already means something"):
        weight_method(lambda leaf, base, key, base_model=None: leaf[0])
    with pytest.raises(TypeError, match="takes 1 parameters; it needs 3"):
        weight_method(lambda leaf: leaf[0])


def test_an_edited_helper_makes_another_method(tmp_path):
    source = """import moco_jax as moco
def half(x):
    return x / {}
@moco.logit_method
def halved(logits):
    return half(logits.sum(0))
"""
    found = []
    for number, part in enumerate((2, 3, 2)):
        file = tmp_path / f"mine{number}.py"
        file.write_text(source.format(part))
        found.append(source_digest(resolve(f"{file}:halved")().combine()))
    assert found[0] == found[2] != found[1]


def test_what_a_function_closes_over_counts():
    def made(power):
        def powered(logits):
            return logits.sum(0) ** power

        return source_digest(logit_method(powered)().combine())

    assert made(1) == made(1) != made(2)


def test_functions_that_are_closed_over_count_alike_wherever_they_lie():
    def made():
        def helper(logits):
            return logits.sum(0)

        def helped(logits):
            return helper(logits)

        return source_digest(logit_method(helped)().combine())

    assert made() == made()
