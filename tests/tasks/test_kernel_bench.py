"""KernelBench: what a measurement is worth, how answers are read, and the harness on the CPU."""

import pytest

from moco_jax.tasks import SCORERS, Item, score_items
from moco_jax.tasks.kernels import FAILED, measurement, program
from moco_jax.tasks.sandbox import require_sandbox, run_programs
from moco_jax.tasks.scorers.kernel_bench import Measurement, speed_score

SCORER = SCORERS["kernel_bench"]
ITEM = Item(id="dev/0", prompt="q", question="q", kind="kernel_bench")
REFERENCE = """\
import torch
import torch.nn as nn


class Model(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, x):
        return torch.relu(self.linear(x))


def get_inputs():
    return [torch.randn(4, 8)]


def get_init_inputs():
    return [8]
"""
REWRITTEN = REFERENCE.replace("class Model(", "class ModelNew(")
FORWARD = "return torch.relu(self.linear(x))"


@pytest.mark.parametrize(
    ("level", "speed_up", "value"),
    [(1, 1.01, 0.5006), (1, 10, 1.0), (2, 1.5, 0.5625), (2, 9, 1.0), (3, 1.5, 0.75), (4, 2, 1.0)],
)
def test_what_a_speed_up_is_worth(level, speed_up, value):
    assert speed_score(level, Measurement(True, True, 1.0, speed_up)) == pytest.approx(
        value, abs=1e-4
    )


def test_right_but_slow_and_wrong():
    assert speed_score(1, Measurement(True, True, 2.0, 1.0)) == 0.25
    assert speed_score(1, Measurement(True, True, -1.0, -1.0)) == 0.25
    assert speed_score(1, Measurement(True, False, 1.0, 9.0)) == 0.0
    assert speed_score(1, Measurement(False, False, -1.0, -1.0)) == 0.0


def test_the_last_block_that_defines_the_class_is_the_answer():
    text = "```python\nx = 1\n```\n```\nclass ModelNew(nn.Module):\n    pass\n```\n```\nx()\n```"
    assert SCORER.extract(ITEM, text) == "class ModelNew(nn.Module):\n    pass\n"
    assert SCORER.extract(ITEM, "no code") is None
    assert SCORER.read({"id": "l2_7", "input": "x"}).gold.details["level"] == 2
    with pytest.raises(ValueError, match="level"):
        SCORER.read({"id": "7", "input": "x"})


def test_without_a_gpu_scoring_says_so_before_it_begins():
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(ValueError, match="CUDA device"):
        score_items([ITEM], [SCORER.read({"level": 1, "input": "x"}).gold], ["x"])


SPARE_LAYER = "self.spare = nn.Linear(3, 3)\n        self.linear ="
REMEMBERED = "self.y = getattr(self, 'y', x)\n        return self.y"
BRIBED = "import torch\ntorch.allclose = lambda *a, **k: True\n"
CANDIDATES = [
    (REWRITTEN, True, True),
    (REWRITTEN.replace("self.linear =", SPARE_LAYER), True, True),
    (REWRITTEN.replace(FORWARD, REMEMBERED), True, False),
    (BRIBED + REWRITTEN.replace("relu", "sin"), True, False),
    ("raise SystemExit(0)", False, False),
    ("syntax(", False, False),
]


@pytest.mark.parity
@pytest.mark.parametrize(("candidate", "compiled", "correct"), CANDIDATES)
def test_candidates_are_checked_against_the_reference(candidate, compiled, correct):
    pytest.importorskip("torch")
    _need_sandbox()
    found = measurement(run_programs([program(REFERENCE, candidate, device="cpu")])[0])
    assert found[:2] == (compiled, correct)
    assert (found[2] > 0) == correct
    assert len(found) == len(FAILED)


def _need_sandbox():
    try:
        require_sandbox()
    except ValueError as error:
        pytest.skip(str(error))
