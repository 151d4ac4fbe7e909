"""Batch sizes and refusals that are decided before anything is loaded; int8 runs."""

import dataclasses
import json

import pytest

import moco_jax
from moco_jax import testing
from moco_jax.decoding.residency import Residency
from moco_jax.decoding.types import Sampling
from moco_jax.method import NeedsError
from moco_jax.methods import make_method
from moco_jax.models import memory
from moco_jax.models.memory import Hardware
from moco_jax.runs.config import RunConfig
from moco_jax.runs.members import Members
from moco_jax.runs.planning import plan as planning
from moco_jax.runs.planning import settle as settling
from moco_jax.runs.planning.rates import Rates, device_memory, measure
from moco_jax.runs.planning.settle import UNTIMED, DoesNotFit, check_weights, settle, widest
from moco_jax.runs.runner import start

TINY = ("tiny:math", "tiny:words", "tiny:facts")
TASK = testing.dummy_task("multiple_choice", 40)
AUTO = RunConfig(
    method="text_majority_vote",
    task="dummy",
    models=TINY,
    batch_size="auto",
    sampling=Sampling(max_new_tokens=8),
)
VOTE = make_method("text_majority_vote", {})


@pytest.fixture(scope="module")
def members():
    return Members(TINY)


@pytest.fixture(scope="module")
def setting(members):
    return planning.Setting(members.infos, "float32", UNTIMED, Hardware())


@pytest.fixture(scope="module")
def demands(setting):
    return planning.Planner(setting).plan(AUTO, VOTE, TASK).demands


def test_auto_takes_no_more_rows_than_are_asked_for(members):
    settled = settle(AUTO, [(VOTE, TASK)], members)
    assert settled == dataclasses.replace(AUTO, batch_size=64)
    assert not members.loaded
    assert settle(settled, [(VOTE, TASK)], members) is settled


def test_auto_takes_what_fits(setting, demands):
    for width in (1, 8, 32):
        room = planning.peak_memory(setting, demands, width).total
        assert widest(setting, demands, room) == width
    with pytest.raises(DoesNotFit, match=r"even with one row.*weights .*--dtype=bfloat16"):
        widest(setting, demands, planning.peak_memory(setting, demands, 1).total - 1)


def test_a_pool_that_is_too_large_is_refused_with_numbers(members, setting):
    with pytest.raises(DoesNotFit, match=r"take \d.*MB in float32 \(tiny:math .*may hold 1 MB"):
        settle(dataclasses.replace(AUTO, batch_size=8), [(VOTE, TASK)], members, limit=1_000_000)
    one = memory.weight_bytes(members.infos[0].config, "float32")
    check_weights(setting, one, offload=True)
    with pytest.raises(DoesNotFit):
        check_weights(setting, one)
    on_gpu = dataclasses.replace(setting, hardware=Hardware("gpu"))
    with pytest.raises(DoesNotFit, match="--offload"):
        check_weights(on_gpu, one)


def test_an_offloaded_run_answers_alike_in_less_room(members, tmp_path, monkeypatch):
    sampling = Sampling(max_new_tokens=6)
    task = testing.dummy_task("multiple_choice", 3)
    config = dataclasses.replace(AUTO, batch_size=4, sampling=sampling, out=str(tmp_path / "a"))
    here = start(config, VOTE, task, TINY, anew=False, progress=False)
    one = memory.weight_bytes(members.infos[0].config, "float32")
    room = 3 * one
    monkeypatch.setattr("moco_jax.runs.planning.settle.device_memory", lambda: room)
    kept = []
    monkeypatch.setattr(
        "moco_jax.runs.members.Residency", lambda *args: kept.append(Residency(*args)) or kept[0]
    )
    config = dataclasses.replace(config, offload=True, out=str(tmp_path / "b"))
    away = start(config, VOTE, task, TINY, anew=False, progress=False)
    assert 0 < kept[0].resident <= kept[0].budget < room
    files = [(run.directory / "responses.jsonl").read_text() for run in (here, away)]
    assert files[0] == files[1]
    assert here.directory.name == away.directory.name
    loaded = Members(testing.dummy_pool(1))
    with pytest.raises(ValueError, match="loaded already"):
        loaded.offload(1)


def test_a_mesh_of_one_device_shares_nothing():
    for mesh in (None, "data=-1", "model=1,data=1,tensor=1"):
        config = dataclasses.replace(AUTO, mesh=mesh)
        assert settling.hardware_of(config) == Hardware("cpu", tensor=1, rows=1)


def test_auto_is_recorded_as_a_number(tmp_path):
    result = moco_jax.run(
        "best_on_dev",
        testing.dummy_pool(2),
        testing.dummy_task("multiple_choice", 3),
        sampling=testing.SHORT,
        batch_size="auto",
        out=tmp_path,
    )
    record = json.loads((result.directory / "config.json").read_text())
    assert record["config"]["batch_size"] == 4


def test_rates_are_measured_and_read_between():
    rates = Rates(100.0, ((8, 10.0), (32, 30.0)))
    assert [rates.flops(rows) for rows in (1, 8, 16, 32, 99)] == [10, 10, 20, 30, 30]
    assert rates.seconds(20, 0, 16) == 1
    assert rates.seconds(20, 400, 16) == 4
    found = measure("float32")
    assert found.bandwidth > 1e8
    assert all(speed > 1e7 for _, speed in found.products)
    assert device_memory() > 1e8


def test_an_int8_run_says_so_and_answers_like_the_full_weights(tmp_path):
    greedy = Sampling(max_new_tokens=12, temperature=0.0)
    prompts = [item.prompt for item in moco_jax.load_task("tiny_mix").test.items[:40]]
    full, small = (moco_jax.Pool.load(TINY[:1], dtype) for dtype in (None, "int8"))
    assert (full[0].dtype, small[0].dtype) == ("float32", "int8")
    assert full[0].identity != small[0].identity
    said = [pool.generate(prompts, greedy)[0] for pool in (full, small)]
    same = sum(a.text == b.text for a, b in zip(*said, strict=True))
    # Measured: 118 of 120 for each of the three specialists
    assert same >= 0.9 * len(prompts)
    assert Members(small).dtype == "int8"
    with pytest.raises(ValueError, match=r"saving tiny:math as a checkpoint needs .* int8"):
        small[0].save(tmp_path / "x")


def test_adapters_stand_over_an_int8_base():
    sources = ["tiny:math-lora", "tiny:words-lora"]
    full, small = (moco_jax.Pool.load(sources, dtype) for dtype in (None, "int8"))
    assert small[0].dtype == "int8"
    greedy = Sampling(max_new_tokens=8, temperature=0.0)
    prompts = [item.prompt for item in moco_jax.load_task("tiny_mix").test.items[:8]]
    said = [pool.generate(prompts, greedy) for pool in (full, small)]
    texts = [[one.text for row in rows for one in row] for rows in said]
    assert sum(a == b for a, b in zip(*texts, strict=True)) >= 0.8 * len(texts[0])
    with pytest.raises(ValueError, match=r"adding an adapter to its base needs .* int8"):
        _ = small[0].params


def test_weight_methods_refuse_int8_by_name(tmp_path):
    with pytest.raises(NeedsError, match="weight_greedy_soup combines weights, and int8"):
        moco_jax.run("weight_greedy_soup", TINY[:2], "tiny_mix", dtype="int8", out=tmp_path)
