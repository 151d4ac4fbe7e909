"""Topologies against networkx and hand-written matrices; decoding against brute force."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moco_jax.methods.text.graphs import (
    TOPOLOGIES,
    decode,
    edges,
    levels,
    of_matrix,
    top_p_shares,
    topology,
)

BY_HAND = {
    "chain": ((1,), (0, 2), (1, 3), (2, 4), (3,)),
    "tree": ((1, 2), (0, 3, 4), (0,), (1,), (1,)),
    "star": ((1, 2, 3, 4), (0, 2, 4), (0, 1, 3), (0, 2, 4), (0, 1, 3)),
    "star_pure": ((1, 2, 3, 4), (0,), (0,), (0,), (0,)),
    "circle": ((1, 4), (0, 2), (1, 3), (2, 4), (0, 3)),
    "complete": ((1, 2, 3, 4), (0, 2, 3, 4), (0, 1, 3, 4), (0, 1, 2, 4), (0, 1, 2, 3)),
}


@pytest.mark.parametrize("kind", TOPOLOGIES)
def test_topologies_of_five_members(kind):
    assert topology(kind, 5) == BY_HAND[kind]


@pytest.mark.parametrize("size", [4, 6, 9])
def test_topologies_are_those_of_networkx(size):
    nx = pytest.importorskip("networkx")
    theirs = {
        "chain": nx.path_graph(size),
        "tree": nx.full_rary_tree(2, size),
        "star": nx.wheel_graph(size),
        "star_pure": nx.star_graph(size - 1),
        "circle": nx.cycle_graph(size),
        "complete": nx.complete_graph(size),
    }
    assert set(theirs) == set(TOPOLOGIES)
    for kind, graph in theirs.items():
        assert topology(kind, size) == tuple(tuple(sorted(graph[node])) for node in range(size))


@pytest.mark.parametrize("kind", TOPOLOGIES)
def test_small_pools_have_no_loops(kind):
    assert topology(kind, 1) == ((),)
    assert topology(kind, 2) == ((1,), (0,))
    triangle, path, fork = ((1, 2), (0, 2), (0, 1)), ((1,), (0, 2), (1,)), ((1, 2), (0,), (0,))
    three = {"chain": path, "tree": fork, "star_pure": fork}
    assert topology(kind, 3) == three.get(kind, triangle)


def test_a_matrix_says_who_reads_whom():
    matrix = [
        [1, 1, 0],
        [0, 0, 0],
        [1, 1, 0],
    ]
    assert of_matrix(matrix) == ((2,), (0, 2), ())
    assert edges(of_matrix(matrix)) == [[2, 0], [0, 1], [2, 1]]


def test_levels_follow_the_edges():
    assert levels(((), (0,), (0, 1), (), (3, 2))) == [[0, 3], [1], [2], [4]]
    with pytest.raises(ValueError, match="cycle"):
        levels(((1,), (0,)))


values = st.floats(-3, 3) | st.sampled_from([0.0, 1e300, -1e300, math.inf, -math.inf, math.nan])
matrices = st.integers(2, 6).flatmap(
    lambda size: st.lists(
        st.lists(values, min_size=size, max_size=size), min_size=size, max_size=size
    )
)


@settings(max_examples=200, deadline=None)
@given(matrices, st.sampled_from([0.0, 0.3, 0.7, 1.0]), st.integers(0, 9))
def test_any_matrix_decodes_to_a_tree_towards_its_end(matrix, top_p, seed):
    strengths = np.array(matrix)
    before = strengths.copy()
    reads, end = decode(strengths, top_p, np.random.default_rng(seed))
    sends = dict(edges(reads))
    assert len(sends) == len(edges(reads)) == len(matrix) - 1
    for node in range(len(matrix)):
        for _ in range(len(matrix)):
            node = sends.get(node, node)
        assert node == end, "within so many steps only a tree gets everybody to its end"
    assert levels(reads)[-1] == [end]
    np.testing.assert_array_equal(strengths, before)


@settings(max_examples=50, deadline=None)
@given(matrices)
def test_at_zero_nothing_is_drawn(matrix):
    strengths = np.array(matrix)
    assert len({decode(strengths, 0.0, np.random.default_rng(seed)) for seed in range(5)}) == 1


def test_at_zero_the_strongest_edges_win():
    strengths = np.array([[9, 1, 2, 0], [0, 9, 3, 1], [0.1, 0, 9, 0], [0.5, 4, 0, 9]])
    # Totals 3, 4, 0.1, 4.5: 2 is the end; 3 sends to it (nobody else is there), 1 to 2, 0 to 2
    assert decode(strengths, 0.0, np.random.default_rng(0)) == (((), (), (0, 1, 3), ()), 2)
    strengths[1, 3] = 5.0
    # 1 is the strongest now, and only 2 is there; then 3 prefers 1 to 2
    assert decode(strengths, 0.0, np.random.default_rng(0)) == (((), (3,), (0, 1), ()), 2)


def test_shares_of_a_draw_by_hand():
    a, b, c = math.exp(2), math.exp(1), math.exp(0)
    first = [x / (a + b + c) for x in (a, b, c)]  # 0.665, 0.245, 0.09
    # 0.665 does not exceed 0.7, together with 0.245 it does
    x, y = math.exp(first[0]), math.exp(first[1])
    scores = np.array([1.0, 2.0, 0.0])
    np.testing.assert_allclose(top_p_shares(scores, 0.7), [y / (x + y), x / (x + y), 0])
    np.testing.assert_allclose(top_p_shares(scores, 0.6), [0, 1, 0])
    np.testing.assert_allclose(top_p_shares(scores, 0.0), [0, 1, 0])
    assert (top_p_shares(scores, 1.0) > 0).all()
    np.testing.assert_allclose(top_p_shares(np.array([-np.inf, 1.0]), 1.0), [0, 1])
    np.testing.assert_allclose(top_p_shares(np.full(2, -np.inf), 1.0), [0.5, 0.5])


def by_hand(scores, top_p):
    """The reference's draw, written with loops: {index: probability}."""
    top = max(scores.values())
    weights = {key: math.exp(score - top) for key, score in scores.items()}
    shares = {key: weight / sum(weights.values()) for key, weight in weights.items()}
    kept, total = [], 0.0
    for key in sorted(shares, key=lambda key: -shares[key]):
        kept.append(key)
        total += shares[key]
        if total > top_p:
            break
    again = {key: math.exp(shares[key]) for key in kept}
    return {key: weight / sum(again.values()) for key, weight in again.items()}


def all_graphs(matrix, top_p):
    """Every graph of three members and its probability, by walking all draws."""
    totals = {u: sum(matrix[u][v] for v in range(3) if v != u) for u in range(3)}
    found = {}

    def walk(end, inside, sends, chance):
        outside = {u: totals[u] for u in range(3) if u not in inside}
        if not outside:
            key = end, tuple(sorted(sends.items()))
            found[key] = found.get(key, 0.0) + chance
            return
        for u, p in by_hand(outside, top_p).items():
            for v, q in by_hand({v: matrix[u][v] for v in inside}, top_p).items():
                walk(end, [*inside, u], {**sends, u: v}, chance * p * q)

    inverse = {u: 1 / max(total, 1e-3) for u, total in totals.items()}
    for end, chance in by_hand(inverse, top_p).items():
        walk(end, [end], {}, chance)
    return found


@pytest.mark.parametrize("top_p", [0.7, 1.0])
def test_graphs_are_drawn_as_often_as_all_draws_say(top_p):
    matrix = [[0, 0.9, 0.4], [0.3, 0, 0.5], [0.2, 0.6, 0]]
    wanted = all_graphs(matrix, top_p)
    assert sum(wanted.values()) == pytest.approx(1)
    rng, counts, draws = np.random.default_rng(0), {}, 4000
    for _ in range(draws):
        reads, end = decode(np.array(matrix), top_p, rng)
        key = end, tuple(sorted((source, reader) for source, reader in edges(reads)))
        counts[key] = counts.get(key, 0) + 1
    assert set(counts) == set(wanted)
    for key, chance in wanted.items():
        spread = math.sqrt(draws * chance * (1 - chance))
        assert abs(counts[key] - draws * chance) < 5 * spread, key
