"""Timing side by side, roofs of the machine, and members of real sizes."""

import jax
import numpy as np
import pytest

from moco_jax.decoding.engine import Engine
from moco_jax.decoding.types import Request, Sampling
from moco_jax.models.cost import count_params
from moco_jax.testing import roofline, sized, timing


def test_actions_take_turns_and_every_other_round_is_reversed():
    order = []
    actions = {name: lambda name=name: order.append(name) for name in "ab"}
    found = timing.side_by_side(actions, repeats=3)
    assert "".join(order) == "ab" + "ab" + "ba" + "ab"
    assert all(len(timed.warm) == 3 for timed in found.values())


def test_the_median_of_paired_ratios_ignores_an_outlier_that_hits_one_run():
    slow = timing.Timing(9.0, (2.0, 2.0, 50.0))
    fast = timing.Timing(9.0, (1.0, 1.0, 1.0))
    assert slow.median == 2
    assert timing.speedup(slow, fast) == 2


def test_no_median_without_runs():
    with pytest.raises(ValueError, match="repeats is 0"):
        timing.side_by_side({}, repeats=0)


def test_the_machine_names_what_figures_depend_on():
    facts = timing.machine()
    assert {"processor", "cores", "memory", "device", "python", "jax", "numpy"} <= facts.keys()
    assert all(facts.values())


def test_memory_that_is_held_for_a_moment_is_seen():
    if not timing.host_bytes():
        pytest.skip("this system has no /proc")
    with timing.watch_memory() as peak:
        held = np.ones(1 << 23)
        del held
    assert peak.grown >= 0.8 * 8 * (1 << 23)


def test_rates_are_positive_and_the_roof_counts_every_matrix():
    member = sized.sized_member(sized.SIZES["tiny"])
    weights = roofline.matrices(member.params)
    size, config = sum(weight.size for weight in weights), member.config
    small = sum(leaf.size for leaf in jax.tree.leaves(member.params) if leaf.ndim < 2)
    assert size == count_params(config) - small
    assert roofline.read_bandwidth(1 << 16) > 0
    assert roofline.matmul_rate(weights, 2) > 0
    # 2 layers, keys and values of 1 head of 64
    grown = [roofline.decode_bytes(config, member.params, 3, seen) for seen in (0, 10)]
    assert grown == [4 * size, 4 * (size + 3 * 10 * 2 * 2 * 64)]
    assert roofline.decode_flops(config, 2, 0) == 2 * 2 * size


def test_prompts_have_the_length_asked_for_and_answers_never_end():
    member = sized.sized_member(sized.SIZES["tiny"])
    prompts = sized.word_prompts(member.config.vocab_size, 2, 9)
    sampling = Sampling(max_new_tokens=5, temperature=0.0)
    answers = Engine().ask([member] * 2, [Request.user(prompt) for prompt in prompts], sampling)
    assert [answer.usage.prompt_tokens for answer in answers] == [9, 9]
    assert [len(answer.tokens) for answer in answers] == [5, 5]
    assert all(answer.finish == "length" for answer in answers)
