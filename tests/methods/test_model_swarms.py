"""The swarm against one that moves the weights themselves, in numpy; what becomes of adapters."""

import dataclasses

import jax
import numpy as np
import pytest

from moco_jax import testing
from moco_jax.decoding.engine import Engine
from moco_jax.method import NeedsError
from moco_jax.methods import HyperparameterError, make_method
from moco_jax.methods.weight.merged import Merged
from moco_jax.methods.weight.mixtures import Stock
from moco_jax.models.lora import merge_adapter
from moco_jax.models.lora_files import load_adapter
from moco_jax.pool import Member, Pool, inspect
from moco_jax.runs.planning.engine import Memo
from moco_jax.system import Context, restore_system
from moco_jax.tasks import Score

POOL = testing.dummy_pool(3)
TASK = testing.dummy_task("multiple_choice", 2)
STILL = {"weight_randomness_flag": False}


class Weigher(testing.ScriptedEngine):
    """Says how near a member's weights are to a target; remembers all weights it met."""

    def __init__(self, target):
        super().__init__(lambda name, request: "")
        self.target = target
        self.met = []

    def ask(self, members, requests, sampling):
        self.calls.append(len(requests))
        met, said = {}, []
        for member, request in zip(members, requests, strict=True):
            if id(member) not in met:
                met[id(member)] = jax.tree.map(np.asarray, member.params)
            worth = repr(self.worth(met[id(member)]))
            self.answer = lambda name, request, worth=worth: worth
            said.append(self._respond(member.name, request))
        self.met.append(list(met.values()))
        return said

    def worth(self, params):
        return -distance(params, self.target)


def distance(one, other):
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return float(sum(np.sum((np.asarray(a, float) - np.asarray(b, float)) ** 2) for a, b in pairs))


def mixed(pool, weights):
    return jax.tree.map(
        lambda *leaves: sum(w * np.asarray(x) for w, x in zip(weights, leaves, strict=True)),
        *[member.params for member in pool],
    )


def bench_for(pool, engine, **changes):
    bench = testing.workbench(pool, TASK.dev, engine=engine, **changes)

    def scorer(indices, texts):
        return [Score(float(text), None, "scored") for text in texts]

    return dataclasses.replace(bench, scorer=scorer)


def fit(settings, pool, target, **changes):
    engine = Weigher(target)
    bench = bench_for(pool, engine, **changes)
    return make_method("weight_model_swarms", settings).fit(bench), engine


def by_hand(pool, worth, rounds):
    """Every round's particles, when whole trees move; two of them, so that partners are given."""
    x = [jax.tree.map(lambda leaf: np.asarray(leaf, float), member.params) for member in pool]
    v = [jax.tree.map(np.subtract, x[1 - i], x[i]) for i in range(2)]
    p, ps = list(x), [-np.inf] * 2
    g, gs, w, ws = None, -np.inf, None, np.inf
    age, step, seen = [0, 0], 0.5, []
    for _ in range(rounds):
        seen.append(list(x))
        for i in range(2):
            score = worth(x[i])
            age[i] += 1
            if score > ps[i]:
                p[i], ps[i], age[i] = x[i], score, 0
            if score > gs:
                g, gs = x[i], score
            if score < ws:
                w, ws = x[i], score
        for i in range(2):
            if age[i] >= 3:
                x[i], v[i], age[i] = p[i], jax.tree.map(np.zeros_like, v[i]), 0
                continue
            v[i] = jax.tree.map(
                lambda v, x, p, g, w: (0.2 * v + 0.3 * (p - x) + 0.4 * (g - x) + 0.05 * (x - w))
                / 0.95,
                v[i], x[i], p[i], g, w,
            )  # fmt: skip
            x[i] = jax.tree.map(lambda x, v, step=step: x + step * v, x[i], v[i])
        step = max(0.95 * step, 0.1)
    return seen, g


def test_coefficients_move_as_whole_weights_would():
    pool = Pool(POOL.members[:2])
    target = mixed(pool, [0.3, 0.5])
    system, engine = fit({**STILL, "max_iterations": 7, "patience": 9}, pool, target)
    wanted, leader = by_hand(pool, engine.worth, 7)
    assert engine.calls == [2 * len(TASK.dev)] * 7, "a round is one call"
    for met, particles in zip(engine.met, wanted, strict=True):
        for ours, theirs in zip(met, particles, strict=True):
            jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-4), ours, theirs)
    assert distance(system.member.params, leader) < 1e-4
    history = dict(system.notes)["g_history"]
    assert history == sorted(history)
    assert history[-1] > history[0], "it found better than any member"


def test_finds_a_planted_mixture():
    target = mixed(POOL, [0.2, 0.5, 0.3])
    settings = {"initial_particles": 12, "max_iterations": 25, "patience": 25}
    system, _ = fit(settings, POOL, target)
    found = dict(system.notes)["coefficients"]
    np.testing.assert_allclose(found, [0.2, 0.5, 0.3], atol=0.1)
    best = max(-distance(member.params, target) for member in POOL)
    assert dict(system.notes)["dev_score"] > best / 20


def test_a_swarm_grows_by_mixing_pairs():
    _, engine = fit({"initial_particles": 6, "max_iterations": 1}, POOL, POOL[0].params)
    (particles,) = engine.met
    weights = [np.ravel(p["lm_head"]["kernel"]) for p in particles]
    for member, found in zip(POOL, weights, strict=False):
        np.testing.assert_array_equal(found, np.ravel(member.params["lm_head"]["kernel"]))
    corners = np.stack(weights[:3], -1)
    for found in weights[3:]:
        shares = np.linalg.lstsq(corners, found, rcond=None)[0]
        assert np.sum(np.abs(shares) > 1e-4) == 2
        assert shares.min() > -1e-4
        assert shares.sum() == pytest.approx(1, abs=1e-3)
    with pytest.raises(NeedsError, match="initial_particles is 2, and the pool has 3"):
        testing.check(make_method("weight_model_swarms", {"initial_particles": 2}), POOL, TASK)


def test_whole_weights_are_made_in_groups_where_asked():
    settings = {"max_iterations": 2, "initial_particles": 5}
    whole, _ = fit(settings, POOL, POOL[0].params)
    parts, engine = fit({**settings, "particles_at_once": 2}, POOL, POOL[0].params)
    assert engine.calls == [count * len(TASK.dev) for count in (2, 2, 1)] * 2
    assert whole.notes == parts.notes
    assert whole.identity == parts.identity


def test_the_seed_alone_decides():
    one, two, other = (
        fit({"max_iterations": 3}, POOL, mixed(POOL, [0.3, 0.3, 0.4]), seed=s)[0] for s in (0, 0, 1)
    )
    assert one.notes == two.notes != other.notes


@pytest.fixture(scope="module")
def adapters(tmp_path_factory):
    return testing.dummy_adapters(tmp_path_factory.mktemp("adapters"))


def dense(places, weights, space):
    """Base and combined adapters, by numpy: ranks 2, 3, 2 and scales 1, 1, 2."""
    loaded = [load_adapter(place) for place in places]
    base = Member.load(dataclasses.replace(inspect(places[0]), adapter=None)).params
    found = {}
    for module in loaded[0].factors:
        factors = [one.factors[module] for one in loaded]
        a = [np.pad(f["a"], ((0, 0), (0, 3 - f["a"].shape[1]))) for f in factors]
        b = [np.pad(f["b"], ((0, 3 - f["b"].shape[0]), (0, 0))) for f in factors]
        b = [one.config.scale(module) * part for one, part in zip(loaded, b, strict=True)]
        if space == "factors":
            delta = sum(w * x for w, x in zip(weights, a, strict=True)) @ sum(
                w * x for w, x in zip(weights, b, strict=True)
            )
        else:
            delta = sum(w * x @ y for w, x, y in zip(weights, a, b, strict=True))
        layer, part, name = module.split("/")
        found[module] = np.asarray(base[layer][part][name]["kernel"]) + delta.T
    return found


@pytest.mark.parametrize("space", ["factors", "delta"])
def test_adapters_are_combined_as_adapters(adapters, space, tmp_path):
    pool = Pool.load(adapters)
    target = pool[0].params
    system, engine = fit(
        {"space": space, "max_iterations": 3, "initial_particles": 4}, pool, target
    )
    assert engine.calls == [4 * len(TASK.dev)] * 3
    weights = [0.5, -0.25, 1.5]
    system = Stock.of(pool).kept("kept", np.array(weights, np.float32), space, members=["x"])
    for module, wanted in dense(adapters, weights, space).items():
        layer, part, name = module.split("/")
        kernel = system.member.params[layer][part][name]["kernel"]
        np.testing.assert_allclose(kernel, wanted, rtol=1e-4, atol=1e-4)
    system.save(tmp_path)
    saved = load_adapter(tmp_path / "model")
    assert not (tmp_path / "model" / "model.safetensors").exists()
    base = Member.load(dataclasses.replace(inspect(adapters[0]), adapter=None)).params
    again = merge_adapter(base, saved)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), again, system.member.params
    )


def test_a_swarm_of_adapters_answers_the_same_when_restored(adapters, tmp_path):
    pool = Pool.load(adapters)
    bench = testing.workbench(pool, TASK.dev)
    settings = {"max_iterations": 3, "initial_particles": 4, "space": "delta"}
    system = make_method("weight_model_swarms", settings).fit(bench)
    assert isinstance(system, Merged)
    system.save(tmp_path)
    restored = restore_system(tmp_path)
    answers = [
        one.respond(TASK.test.items, Context(pool, Engine(), testing.SHORT, 0))
        for one in (system, restored)
    ]
    assert [a.tokens for a in answers[0]] == [a.tokens for a in answers[1]]
    reloaded = Pool.load([str(tmp_path / "model")])[0]
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5),
        reloaded.params,
        system.member.params,
    )


@pytest.mark.parametrize("kind", ["adapters", "whole"])
def test_a_search_that_was_interrupted_finds_what_it_knew(adapters, kind):
    pool, store = Pool.load(adapters) if kind == "adapters" else POOL, Memo()
    systems, computed = [], []
    for _ in range(2):
        charges = []
        engine = Engine(store=store, meter=charges.append, width=2)
        bench = testing.workbench(pool, TASK.dev, engine=engine)
        method = make_method("weight_model_swarms", {"max_iterations": 3, "initial_particles": 4})
        systems.append(method.fit(bench))
        computed.append(sum(not charge.cached for charge in charges))
    assert computed[0] > 0
    assert computed[1] == 0
    assert systems[0].identity == systems[1].identity


def test_adapters_over_different_bases_are_whole_weights(adapters, tmp_path):
    others = testing.dummy_adapters(tmp_path, count=1, seed=1)
    pool = Pool.load([adapters[0], others[0]])
    assert Stock.of(pool).bank is None
    mixture, _ = fit({"max_iterations": 2}, pool, pool[0].params)
    mixture.save(tmp_path)
    assert (tmp_path / "model" / "model.safetensors").exists()


def test_both_spellings_are_taken():
    method = make_method("weight_model_swarms", {"social_coefficient": 0.1, "repel_term_flag": 0})
    assert (method.social_coeff, method.repel_term) == (0.1, False)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"inertia": -1}, "inertia is -1"),
        ({"max_iterations": 0}, "max_iterations is 0"),
        ({"particles_at_once": 0}, "particles_at_once is 0"),
        ({"space": "tree"}, "space is 'tree'"),
    ],
)
def test_bad_settings_are_named(settings, complaint):
    with pytest.raises(HyperparameterError, match=complaint):
        make_method("weight_model_swarms", settings)


@pytest.mark.parity
@pytest.mark.parametrize("space", ["factors", "delta"])
def test_a_kept_adapter_has_the_same_logits_in_peft(adapters, space, tmp_path):
    torch, peft = pytest.importorskip("torch"), pytest.importorskip("peft")
    transformers = pytest.importorskip("transformers")
    from moco_jax.models.decoder import forward, unembed

    pool = Pool.load(adapters)
    system = Stock.of(pool).kept("kept", np.array([0.5, -0.25, 1.5], np.float32), space)
    system.save(tmp_path)
    base = transformers.AutoModelForCausalLM.from_pretrained(pool[0].info.path)
    theirs = peft.PeftModel.from_pretrained(base, tmp_path / "model")
    tokens = np.array([pool[0].tokenizer.encode("Which one?")])
    member = system.member
    hidden, _ = forward(member.config, member.params, tokens, np.arange(tokens.shape[1])[None])
    with torch.no_grad():
        logits = theirs(torch.tensor(tokens)).logits.numpy()
    ours = unembed(member.config, member.params, hidden)
    np.testing.assert_allclose(ours, logits, rtol=1e-4, atol=1e-3)
    plain = transformers.AutoModelForCausalLM.from_pretrained(pool[0].info.path)
    with torch.no_grad():
        untouched = plain(torch.tensor(tokens)).logits.numpy()
    assert np.abs(untouched - logits).max() > 0.1
