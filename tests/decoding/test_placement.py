"""Several devices and processes write what one device writes, and move only what is small."""

import json
import pathlib
import socket
import subprocess
import sys

import jax
import numpy as np
import pytest

from moco_jax.decoding.placement import Placement, make_mesh, read_sizes
from moco_jax.models.config import ModelConfig
from moco_jax.models.decoder import init_params

SCRIPT = str(pathlib.Path(__file__).parent / "placed.py")
DATA, TENSOR, ALL = "data=8", "data=4,tensor=2", "model=2,data=2,tensor=2"
HIDDEN_SIZE = 2 * 32
"""Numbers in the hidden states of one device's rows, in tests/decoding/placed.py."""
SUMS = 2 + 1
"""Two sums in its one layer, and one for the embedding."""


def results(arguments, ways=((),)):
    """What each process of `placed.py` says; `ways` are the flags of the processes."""
    running = [
        subprocess.Popen(
            [sys.executable, SCRIPT, *way, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for way in ways
    ]
    ended = [process.communicate(timeout=900) for process in running]
    assert all(process.returncode == 0 for process in running), ended
    lines = [[line for line in out.splitlines() if line.startswith("RESULT")] for out, _ in ended]
    return [json.loads(found[-1].removeprefix("RESULT ")) for found in lines]


@pytest.fixture(scope="module")
def told():
    (only,) = results(["", DATA, TENSOR, ALL])
    return only


@pytest.mark.parametrize("mesh", [DATA, TENSOR, ALL])
def test_greedy_text_is_one_devices(told, mesh):
    written = {name: text for name, text in told[mesh].items() if name in told[""]}
    scores = written.pop("score", told[""]["score"])
    assert written == {name: told[""][name] for name in written}
    assert len(written) >= 2
    np.testing.assert_allclose(scores, told[""]["score"], rtol=1e-5)


def test_every_device_holds_its_rows_and_heads(told):
    assert told[TENSOR]["layout"][1] == [2, 1, 8, 64]
    assert told[ALL]["layout"][1] == [2, 1, 8, 64]


def test_members_of_a_population_are_on_different_devices(told):
    spec, shape = told[ALL]["stack layout"]
    assert shape == [1, 2, 1, 8, 64]
    assert spec.startswith("P('model', 'data'")


def test_members_that_write_together_are_on_different_devices(told):
    assert told[ALL]["choir held"] == [
        [device, *[[0, 2], [2, 4]][device // 4]] for device in range(8)
    ]
    assert told[ALL]["choir layout"][1] == [2, 4, 1, 8, 64]


def test_a_step_of_members_together_moves_no_weights_and_copies_no_cache(told):
    sizes = [size for _, size in told[ALL]["choir collectives"]]
    # 2 members, 4 rows, 32 dimensions, summed over `tensor`; the smallest kernel has 32 x 8 x 2
    assert sizes.count(2 * 4 * 32) >= SUMS
    assert max(sizes) == 2 * 4 * 32
    assert not [
        size for kind, size in told[ALL]["choir collectives"] if kind == "all-gather" and size > 32
    ]
    seen, copied = told[ALL]["choir caches"]
    assert seen
    assert not copied


@pytest.mark.parametrize("program", ["collectives", "stack collectives"])
def test_a_step_moves_hidden_states_and_never_a_cache(told, program):
    # All else is about a number or two per row
    found = told[ALL][program]
    assert found.count(["all-reduce", HIDDEN_SIZE]) == SUMS
    rest = [size for kind, size in found if [kind, size] != ["all-reduce", HIDDEN_SIZE]]
    assert max(rest) <= 2 * 8


def test_two_processes_write_what_one_does(told):
    with socket.socket() as one:
        one.bind(("localhost", 0))
        place = f"--coordinator=localhost:{one.getsockname()[1]}"
    ways = [(place, "--processes=2", f"--process={index}") for index in range(2)]
    for result in results([TENSOR], ways):
        assert result[TENSOR] == {"joint": told[""]["joint"]}


def test_one_device_changes_nothing():
    config = ModelConfig(
        vocab_size=8, hidden_size=8, intermediate_size=8, num_layers=1, num_heads=2
    )
    params = init_params(config, jax.random.key(0))
    alone = Placement()
    assert alone.params(config, params) is params
    with alone.active():
        assert jax.sharding.get_abstract_mesh().empty
    # A mesh of one device is a mesh all the same
    placed = Placement(make_mesh()).params(config, params)
    assert jax.tree.all(jax.tree.map(lambda a, b: (a == b).all(), placed, params))


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"model=1,data=3,tensor=1 does not fit 1 devices"):
        make_mesh(data=3)
    with pytest.raises(ValueError, match=r"tensor=2 does not fit 1 devices"):
        make_mesh(tensor=2)
    with pytest.raises(ValueError, match=r"makes no sense"):
        make_mesh(model=0)


def test_a_mesh_is_read_from_words():
    assert read_sizes("model=2, data=-1,tensor=4") == {"model": 2, "data": -1, "tensor": 4}
    assert read_sizes("") == {}
    for wrong in ("rows=2", "data=x", "data=1,data=2", "data"):
        with pytest.raises(ValueError, match="cannot read"):
            read_sizes(wrong)
