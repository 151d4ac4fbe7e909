"""Contrast against combining logits of separate full passes, and who takes which role."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from moco_jax import testing
from moco_jax.decoding.combine import WEIGHTED_LOGITS, Choice, Combine, Plausibility, plausible
from moco_jax.decoding.engine import Engine
from moco_jax.decoding.types import Sampling
from moco_jax.method import NeedsError
from moco_jax.methods import HyperparameterError, make_method
from moco_jax.models.decoder import forward, unembed
from moco_jax.system import restore_system

NAME = "logit_logit_contrastive"
POOL = testing.dummy_pool(4)
NAMES = POOL.names
TASK = testing.dummy_task("multiple_choice", 4)
GREEDY = Sampling(max_new_tokens=4, temperature=0.0)
RIGHT = dict(zip(NAMES, (1, 3, 0, 2), strict=True))
"""How many dev items each member answers right: the best is 1, then 3, 0 and 2."""


def scripted():
    """An engine whose members know the first few dev items."""

    def answer(name, request):
        index = int(request.item[-1])
        return "Answer: " + ("ABCA"[index] if index < RIGHT.get(name, 0) else "D")

    return testing.ScriptedEngine(answer)


def fit(settings, pool=POOL):
    bench = testing.workbench(pool, TASK.dev, engine=scripted())
    return make_method(NAME, settings).fit(bench), bench


def logits_after(member, tokens):
    positions = np.arange(len(tokens))[None]
    hidden, _ = forward(member.config, member.params, np.array([tokens]), positions)
    return np.asarray(unembed(member.config, member.params, hidden)[0, -1], np.float64)


@pytest.mark.parametrize("alpha", [0.0, 0.7])
def test_every_token_is_that_of_the_formula_on_separate_full_passes(alpha):
    settings = {"base": 2, "expert": NAMES[0], "anti_expert": 3, "lambda_": 1.5}
    system, _ = fit({**settings, "plausibility_alpha": alpha})
    bench = testing.workbench(POOL, TASK.dev, engine=Engine(), sampling=GREEDY)
    cuts = 0
    for item, response in zip(TASK.test.items, system.respond(TASK.test.items, bench), strict=True):
        tokens = POOL[0].template.render([("user", item.prompt)])
        for token, logprob in zip(response.tokens, response.logprobs, strict=True):
            base, expert, anti = (logits_after(POOL[index], tokens) for index in (2, 0, 3))
            mixed = base + 1.5 * (expert - anti)
            free = mixed.argmax()
            chances = np.exp(base - base.max())
            mixed[chances < alpha] = -np.inf
            assert token == mixed.argmax()
            cuts += free != token
            wanted = mixed[token] - np.log(np.exp(mixed).sum())
            np.testing.assert_allclose(logprob, wanted, atol=1e-4)
            tokens = [*tokens, token]
    assert (cuts > 0) == (alpha > 0)


def test_ranks_on_dev_and_runs_only_who_counts():
    system, bench = fit({})
    assert system.weights == (0.0, 1.2, -0.2, 0.0)
    bench.engine.asked.clear()
    (response, *_) = system.respond(TASK.test.items, bench)
    assert response.speaker == f"{NAMES[1]}+{NAMES[2]}"
    assert dict(response.notes) == {
        "weights": [0.0, 1.2, -0.2, 0.0],
        "ranking": [[NAMES[1], 0.75], [NAMES[3], 0.5], [NAMES[0], 0.25], [NAMES[2], 0.0]],
        "base": NAMES[1],
        "experts": [NAMES[1]],
        "anti_experts": [NAMES[2]],
    }


def test_the_best_is_steered_by_k_pairs():
    system, _ = fit({"k": 2, "lambda_": 0.5})
    assert system.weights == (-0.5, 1.5, -0.5, 0.5)
    assert system.judge == 1


def test_a_base_is_steered_by_the_others():
    system, _ = fit({"base": NAMES[1], "lambda_": 1.0})
    assert system.weights == (0.0, 1.0, -1.0, 1.0)
    assert system.judge == 1


def test_named_roles_need_no_dev_pass_and_the_expert_is_the_base_by_default():
    system, bench = fit({"expert": 0, "anti_expert": 2, "lambda_": 1.0})
    assert system.weights == (2.0, 0.0, -1.0, 0.0)
    assert bench.engine.asked == []
    assert "ranking" not in dict(system.notes)
    system, _ = fit({"base": 2, "expert": 0, "anti_expert": 2, "lambda_": 0.25})
    assert system.weights == (0.25, 0.0, 0.75, 0.0)


def test_the_cut_holds_where_a_judge_drops_out_of_the_sum():
    # base - anti-expert is 0: the judge writes nothing itself, but still says what is plausible
    settings = {"base": 2, "expert": 0, "anti_expert": 2, "plausibility_alpha": 0.9}
    system, _ = fit({**settings, "lambda_": 1.0})
    assert system.weights == (1.0, 0.0, 0.0, 0.0)
    bench = testing.workbench(POOL, TASK.dev, engine=Engine(), sampling=GREEDY)
    for item, said in zip(TASK.test.items, system.respond(TASK.test.items, bench), strict=True):
        judged = logits_after(POOL[2], POOL[0].template.render([("user", item.prompt)]))
        assert judged[said.tokens[0]] >= judged.max() + np.log(0.9)


def test_too_large_a_k_is_refused_by_name():
    with pytest.raises(NeedsError, match="k is 3, which takes 6 members; the pool has 4"):
        testing.check(make_method(NAME, {"k": 3}), POOL, TASK)
    with pytest.raises(NeedsError, match=f"the pool has 3 besides the base {NAMES[0]}"):
        testing.check(make_method(NAME, {"k": 2, "base": 0}), POOL, TASK)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"k": 0}, "k is 0; it must be at least 1"),
        ({"lambda_": -1}, "lambda_ is -1"),
        ({"plausibility_alpha": 1.5}, "plausibility_alpha is 1.5"),
        ({"expert": 0}, "anti_expert is null; give both or neither"),
        ({"anti_expert": 0}, "expert is null; give both or neither"),
        ({"expert": 0, "anti_expert": 0}, "they would cancel"),
        ({"expert": 0, "anti_expert": 1, "k": 2}, "with an expert given it must be 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, reason):
    with pytest.raises(HyperparameterError, match=reason):
        make_method(NAME, settings)


def test_who_is_not_in_the_pool_is_refused():
    with pytest.raises(ValueError, match="base is 4; it must be an index from 0 to 3"):
        testing.check(make_method(NAME, {"base": 4}), POOL, TASK)
    with pytest.raises(ValueError, match=f"expert is 'who'; .* one of {NAMES[0]}"):
        testing.check(make_method(NAME, {"expert": "who", "anti_expert": 0}), POOL, TASK)
    with pytest.raises(ValueError, match=f"are both {NAMES[0]}"):
        fit({"expert": NAMES[0], "anti_expert": 0})


def test_the_system_is_restored_as_it_was(tmp_path):
    system, bench = fit({"plausibility_alpha": 0.1})
    system.save(tmp_path)
    restored = restore_system(tmp_path)
    assert restored == system
    assert restored.respond(TASK.test.items, bench) == system.respond(TASK.test.items, bench)


def test_sampling_never_draws_what_the_judge_finds_implausible():
    logits = jax.random.normal(jax.random.key(0), (2, 64, 20)) * 3
    theta = Plausibility(jnp.tile(jnp.array([[1.0, 2.0]]), (64, 1)), *judges(64, 1, 0.2))
    _, choice = plausible(WEIGHTED_LOGITS).step(theta, (), None, logits, None)
    judged = jax.nn.softmax(logits[1])
    allowed = np.asarray(judged >= 0.2 * judged.max(-1, keepdims=True))
    np.testing.assert_array_equal(np.isfinite(choice.logits), allowed)
    drawn = jax.random.categorical(jax.random.key(1), choice.logits)
    assert allowed[np.arange(64), drawn].all()
    assert 64 < allowed.sum() < 64 * 20


def judges(rows, who, alpha):
    return jnp.full(rows, who), jnp.full(rows, alpha)


def test_a_plausible_policy_keeps_its_memory():
    def count(theta, carry, keys, logits, aux):
        return carry + theta, Choice(logits[0])

    policy = plausible(Combine(count, init=lambda theta: theta * 0, name="count"))
    theta = Plausibility(jnp.ones(3), *judges(3, 0, 0.0))
    carry, choice = policy.step(theta, policy.init(theta), None, jnp.ones((1, 3, 5)), None)
    np.testing.assert_array_equal(carry, np.ones(3))
    np.testing.assert_array_equal(choice.logits, np.ones((3, 5)))
    assert policy.name == "plausible count"
