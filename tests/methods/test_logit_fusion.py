"""Fusion against combining separately computed logits, token by token."""

import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import moco_jax as moco
from moco_jax import testing
from moco_jax.decoding.combine import WEIGHTED_LOGITS, WEIGHTED_LOGPROBS, WEIGHTED_PROBS
from moco_jax.decoding.types import Sampling
from moco_jax.method import NeedsError
from moco_jax.methods import HyperparameterError, make_method
from moco_jax.methods.logit.fusion import Fusion
from moco_jax.models.decoder import forward, unembed
from moco_jax.system import question

POOL = testing.dummy_pool(2)
TASK = testing.dummy_task("multiple_choice", 3)
GREEDY = Sampling(max_new_tokens=4, temperature=0.0)


def combined(space, weights, logits):
    """The definition, in float64: logits [M, V] to one distribution's logits [V]."""
    logits = np.asarray(logits, np.float64)
    logprobs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    if space == "logit":
        return weights @ logits
    if space == "logprob":
        return weights @ logprobs
    return np.log(weights @ np.exp(logprobs))


def logits_after(member, tokens):
    positions = np.arange(len(tokens))[None]
    hidden, _ = forward(member.config, member.params, np.array([tokens]), positions)
    return unembed(member.config, member.params, hidden)[0, -1]


@pytest.mark.parametrize("space", ["logit", "logprob", "prob"])
def test_tokens_and_logprobs_equal_separate_forward_passes(space):
    weights = np.array([0.3, 0.7])
    bench = testing.workbench(POOL, TASK.dev, sampling=GREEDY)
    responses = Fusion(tuple(weights.tolist()), space).respond(TASK.test.items, bench)
    eos = POOL[0].eos
    for item, response in zip(TASK.test.items, responses, strict=True):
        tokens = POOL[0].template.render([("user", item.prompt)])
        for token, logprob in zip(response.tokens, response.logprobs, strict=True):
            logits = np.stack([logits_after(member, tokens) for member in POOL])
            mixed = combined(space, weights, logits)
            assert token == mixed.argmax()
            wanted = mixed[token] - np.log(np.exp(mixed).sum())
            np.testing.assert_allclose(logprob, wanted, atol=1e-4)
            tokens = [*tokens, token]
        assert len(response.tokens) == 4 or response.tokens[-1] in eos


def test_average_is_uniform():
    bench = testing.workbench(POOL, TASK.dev, engine=testing.ScriptedEngine(lambda n, r: "A"))
    assert make_method("logit_logit_fusion", {}).fit(bench).weights == (0.5, 0.5)


class Judge(testing.ScriptedEngine):
    """Answers right where the weight of the first member is close to 0.8."""

    def join(self, members, requests, sampling, combine, theta=()):
        self.calls.append(len(requests))
        assert sampling.greedy
        answers = []
        for row, request in zip(np.asarray(theta), requests, strict=True):
            np.testing.assert_allclose(row.sum(), 1, atol=1e-6)
            index = int(request.item[-1])
            good = abs(row[0] - 0.8) < 0.1 * (index + 1)
            answers.append(
                self._respond("joint", request).replace(text="ABC"[index] if good else "")
            )
        return answers


def test_optimized_searches_the_simplex_in_one_batch_per_round():
    engine = Judge(lambda name, request: "")
    bench = testing.workbench(POOL, TASK.dev, engine=engine)
    settings = {"mode": "optimized", "population": 6, "max_iterations": 8}
    system = make_method("logit_logit_fusion", settings).fit(bench)
    assert set(engine.calls) == {6 * 3}
    assert abs(system.weights[0] - 0.8) < 0.1
    assert system.dev_score == 1.0
    again = testing.workbench(POOL, TASK.dev, engine=Judge(lambda name, request: ""))
    assert make_method("logit_logit_fusion", settings).fit(again) == system


def test_optimized_starts_from_the_average_and_never_ends_below_it():
    engine = testing.ScriptedEngine(lambda name, request: "A")
    bench = testing.workbench(POOL, TASK.dev, engine=engine)
    system = make_method("logit_logit_fusion", {"mode": "optimized"}).fit(bench)
    np.testing.assert_allclose(system.weights, [0.5, 0.5], atol=1e-6)


def test_a_mixture_of_one_with_itself_is_itself():
    logits = jax.random.normal(jax.random.key(0), (1, 1, 9))
    twice = jnp.concatenate([logits, logits])
    _, choice = WEIGHTED_PROBS.step(jnp.array([[0.25, 0.75]]), (), None, twice, None)
    np.testing.assert_allclose(choice.logits, jax.nn.log_softmax(logits[0]), atol=1e-5)


def test_given_weights_are_taken_as_they_are_and_a_zero_does_not_run():
    pool = testing.dummy_pool(3)
    engine = testing.ScriptedEngine(lambda name, request: "A")
    bench = testing.workbench(pool, TASK.dev, engine=engine)
    system = make_method("logit_logit_fusion", {"weights": [2, 0, -0.5]}).fit(bench)
    (response, *_) = system.respond(TASK.test.items, bench)
    assert response.speaker == f"{pool[0].name}+{pool[2].name}"
    assert response.notes == (("weights", [2.0, 0.0, -0.5]),)
    assert engine.calls == [3]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"weights": [0, 0]}, "at least one must not be 0"),
        ({"weights": [1, -1], "space": "prob"}, "none may be below 0"),
        ({"weights": [1, 1], "mode": "optimized"}, "which searches them"),
    ],
)
def test_weights_that_mean_nothing_are_refused(settings, reason):
    with pytest.raises(HyperparameterError, match=f"weights is .*{reason}"):
        make_method("logit_logit_fusion", settings)


def test_weights_of_another_pool_are_refused():
    method = make_method("logit_logit_fusion", {"weights": [1, 1, 1]})
    with pytest.raises(NeedsError, match="the pool has 2 members, and each takes one"):
        testing.check(method, POOL, TASK)


def test_logprobs_give_the_distribution_of_logits():
    logits = jax.random.normal(jax.random.key(1), (2, 1, 9)) * jnp.array([1.0, 9.0])[:, None, None]
    weights = jnp.array([[1.5, -0.5]])
    first, second = (
        jax.nn.softmax(policy.step(weights, (), None, logits, None)[1].logits)
        for policy in (WEIGHTED_LOGITS, WEIGHTED_LOGPROBS)
    )
    np.testing.assert_allclose(first, second, rtol=1e-5)


def test_the_policies_of_the_page_run():
    page = pathlib.Path(__file__).parents[2] / "docs" / "levels" / "logit.md"
    found = {"moco": moco, "jax": jax, "jnp": jnp}
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
        exec(block, found)
    logits = jnp.log(jnp.array([[[0.5, 0.5]], [[0.1, 0.9]]]))
    product = found["product_of_experts"].function(logits)
    np.testing.assert_allclose(product, jnp.log(jnp.array([[0.05, 0.45]])), rtol=1e-5)
    bench = testing.workbench(POOL, TASK.dev, sampling=GREEDY)
    requests = [question(item) for item in TASK.test.items]
    for item, said in zip(
        TASK.test.items, bench.join([0, 1], requests, found["SUREST"], ()), strict=True
    ):
        tokens = POOL[0].template.render([("user", item.prompt)])
        sure = [jax.nn.log_softmax(logits_after(member, tokens)).max() for member in POOL]
        assert said.speakers[0] == int(np.argmax(sure))
        np.testing.assert_allclose(said.logprobs[0], max(sure), atol=1e-4)
