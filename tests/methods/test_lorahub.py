"""LoraHub against a planted optimum, and its objective term by term."""

import dataclasses

import numpy as np
import pytest

from moco_jax import testing
from moco_jax.decoding.engine import Engine
from moco_jax.method import NeedsError
from moco_jax.methods import HyperparameterError, make_method
from moco_jax.methods.weight.merged_adapter import MergedAdapter
from moco_jax.pool import Pool
from moco_jax.system import Context, restore_system
from moco_jax.tasks import Score

TASK = testing.dummy_task("multiple_choice", 6)
LAYER = "layers_0"


@pytest.fixture(scope="module")
def adapters(tmp_path_factory):
    return testing.dummy_adapters(tmp_path_factory.mktemp("adapters"), count=2)


@pytest.fixture(scope="module")
def pool(adapters):
    return Pool.load(adapters)


def coefficients(pool, member):
    """Of a member in delta space: its deltas as a combination of the pool's."""
    corners = np.stack([delta(pool, one) for one in pool], -1)
    return np.linalg.lstsq(corners, delta(pool, member), rcond=None)[0]


def delta(pool, member):
    base = pool[0].variant.population.params

    def kernel(params):
        return np.asarray(params[LAYER]["mlp"]["down_proj"]["kernel"], float)

    return np.ravel(kernel(member.params) - kernel(base))


class Planted(testing.ScriptedEngine):
    """Worth of a member: how near its coefficients are to those planted."""

    def __init__(self, pool, planted):
        super().__init__(lambda name, request: "")
        self.pool, self.planted = pool, planted
        self.tried, self.known = [], {}

    def ask(self, members, requests, sampling):
        self.calls.append(len(requests))
        said = []
        for member, request in zip(members, requests, strict=True):
            worth = repr(self.worth(member))
            self.answer = lambda name, request, worth=worth: worth
            said.append(self._respond(member.name, request))
        return said

    def score(self, members, requests, continuations, sampling=None):
        self.scored += [(m.name, r, c) for m, r, c in zip(members, requests, continuations)]  # noqa: B905
        return [(self.worth(member), self.worth(member)) for member in members]

    def worth(self, member):
        if id(member) not in self.known:
            found = coefficients(self.pool, member)
            self.tried.append(found)
            # Keeps the member, so that no other gets its id
            self.known[id(member)] = member, -float(np.sum((found - self.planted) ** 2))
        return self.known[id(member)][1]


def fit(settings, pool, planted=(0.7, -0.4), dev=TASK.dev, seed=0):
    engine = Planted(pool, np.array(planted))
    bench = testing.workbench(pool, dev, engine=engine, seed=seed)

    def scorer(indices, texts):
        return [Score(float(text), None, "scored") for text in texts]

    settings = {"space": "delta", "regular_coef": 0.0, **settings}
    method = make_method("weight_lorahub", settings)
    return method.fit(dataclasses.replace(bench, scorer=scorer)), engine


@pytest.mark.parametrize("objective", ["score", "loss"])
@pytest.mark.parametrize(("optimizer", "near"), [("pso", 0.2), ("cma_es", 0.05)])
def test_finds_planted_coefficients(pool, objective, optimizer, near):
    settings = {"objective": objective, "optimizer": optimizer, "population": 10}
    system, engine = fit({**settings, "max_inference_step": 200}, pool)
    notes = dict(system.notes)
    np.testing.assert_allclose(notes["learned_weights"], [0.7, -0.4], atol=near)
    made = coefficients(pool, system.member)
    np.testing.assert_allclose(made, notes["learned_weights"], atol=1e-4)
    np.testing.assert_allclose(engine.tried[0], 0, atol=1e-5, err_msg="the base alone comes first")
    assert notes["objective"] == objective


def test_a_round_is_one_call_about_the_first_dev_items(pool):
    _, engine = fit({"max_inference_step": 11, "population": 5, "lorahub_dev_samples": 3}, pool)
    assert engine.calls == [5 * 3] * 2
    assert {request.item for _, request in engine.asked} == {f"dev/{index}" for index in range(3)}
    assert {request.purpose for _, request in engine.asked} == {"dev"}


@pytest.mark.parametrize("optimizer", ["pso", "cma_es"])
def test_coefficients_stay_within_the_bound(pool, optimizer):
    settings = {"lora_weight_bound": 0.3, "max_inference_step": 60, "optimizer": optimizer}
    system, engine = fit(settings, pool, (5.0, 5.0))
    assert np.abs(engine.tried).max() <= 0.3 + 1e-5
    assert sum(dict(system.notes)["learned_weights"]) > 0.2


def test_the_objective_counts_the_size_of_coefficients(pool):
    system, engine = fit({"regular_coef": 0.5}, pool)
    values = [
        -np.sum((found - [0.7, -0.4]) ** 2) - 0.5 * np.mean(np.abs(found)) for found in engine.tried
    ]
    assert dict(system.notes)["objective_value"] == pytest.approx(max(values), abs=1e-4)
    heavy, _ = fit({"regular_coef": 100.0}, pool)
    assert dict(heavy.notes)["learned_weights"] == [0.0, 0.0]


def test_the_loss_is_that_of_the_first_gold_answer(pool):
    _, engine = fit({"objective": "loss", "lorahub_dev_samples": 2}, pool)
    said = [(request.item, text) for _, request, text in engine.scored[:2]]
    assert said == [(item.id, gold.answers[0]) for item, gold in zip(*parts(2), strict=True)]
    assert not engine.asked


def parts(count):
    return TASK.dev.items[:count], TASK.dev.golds[:count]


def test_a_task_without_golds_in_words_has_no_loss(pool):
    golds = tuple(dataclasses.replace(gold, answers=()) for gold in TASK.dev.golds)
    dev = dataclasses.replace(TASK.dev, golds=golds)
    with pytest.raises(NeedsError, match="dev/0 of kind multiple_choice has none"):
        method = make_method("weight_lorahub", {"objective": "loss"})
        testing.check(method, pool, dataclasses.replace(TASK, dev=dev))
    fit({"objective": "score"}, pool, dev=dev)


def test_the_seed_alone_decides(pool):
    one, two, other = (fit({}, pool, seed=seed)[0].notes for seed in (0, 0, 1))
    assert one == two != other


def test_real_losses_are_the_members_own(pool):
    bench = testing.workbench(pool, TASK.dev)
    settings = {"objective": "loss", "max_inference_step": 4, "population": 4, "regular_coef": 0.0}
    system = make_method("weight_lorahub", settings).fit(bench)
    items, golds = parts(5)
    asks = [(system.member, question_of(item)) for item in items]
    found = Context(pool, Engine(), testing.SHORT, 0).score(asks, [g.answers[0] for g in golds])
    wanted = np.mean([np.mean(values) for values in found])
    assert dict(system.notes)["objective_value"] == pytest.approx(wanted, abs=1e-4)


def question_of(item):
    from moco_jax.system import question

    return question(item, purpose="dev")


def test_one_adapter_is_enough(adapters, tmp_path):
    pool = Pool.load(adapters[:1])
    bench = testing.workbench(pool, TASK.dev)
    system = make_method("weight_lorahub", {"max_inference_step": 6, "population": 3}).fit(bench)
    assert isinstance(system, MergedAdapter)
    assert len(dict(system.notes)["learned_weights"]) == 1
    system.save(tmp_path)
    restored = restore_system(tmp_path)
    ours, theirs = (
        one.respond(TASK.test.items, Context(pool, Engine(), testing.SHORT, 0))
        for one in (system, restored)
    )
    assert ours == theirs


def test_whole_models_are_refused(pool):
    method = make_method("weight_lorahub", {})
    infos = [member.info for member in (pool[0], testing.dummy_member("whole", 1))]
    with pytest.raises(NeedsError, match="whole is a whole model"):
        method.needs.check(method.name, infos, TASK.kind)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"lora_weight_bound": 0}, "lora_weight_bound is 0"),
        ({"population": 1}, "population is 1"),
        ({"objective": "both"}, "objective is 'both'"),
        ({"lorahub_dev_samples": 0}, "lorahub_dev_samples is 0"),
    ],
)
def test_bad_settings_are_named(settings, complaint):
    with pytest.raises(HyperparameterError, match=complaint):
        make_method("weight_lorahub", settings)


def test_a_gold_beyond_the_context_is_named(pool):
    class Short(Planted):
        def score(self, members, requests, continuations, sampling=None):
            found = super().score(members, requests, continuations, sampling)
            return [None, *found[1:]]

    bench = testing.workbench(pool, TASK.dev, engine=Short(pool, np.array((0.7, -0.4))))
    method = make_method("weight_lorahub", {"space": "delta", "objective": "loss"})
    with pytest.raises(NeedsError, match=f"{TASK.dev.items[0].id} with its gold answer, which exc"):
        method.fit(bench)
