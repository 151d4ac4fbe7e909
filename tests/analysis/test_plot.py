import itertools

import hypothesis
import pytest
from hypothesis import strategies as st

from moco_jax.analysis.labels import Box, place_labels
from moco_jax.analysis.plot import Mark, lay_out, score_ticks

FRAME = Box(40, 10, 900, 450)


def mark(name: str, cost: float, score: float) -> Mark:
    return Mark(name, cost, score, score - 0.05, score + 0.05, "method", name)


@hypothesis.given(
    st.lists(st.tuples(st.floats(50, 890), st.floats(20, 440)), min_size=1, max_size=20)
)
@hypothesis.settings(max_examples=30, deadline=None)
def test_labels_cover_nothing(points: list[tuple[float, float]]) -> None:
    labels = place_labels(points, [f"text_method_{i}" for i in range(len(points))], FRAME)
    placed = [label.box for label in labels if label is not None]
    assert placed
    assert all(box.inside(FRAME) for box in placed)
    assert not any(a.meets(b) for a, b in itertools.combinations(placed, 2))
    assert not any(
        box.left < x < box.right and box.top < y < box.bottom for box in placed for x, y in points
    )


def test_points_in_one_place_all_get_labels() -> None:
    labels = place_labels([(400.0, 200.0)] * 12, [f"name {i}" for i in range(12)], FRAME)
    assert None not in labels
    assert not labels[0].leader


@pytest.mark.parametrize("width", [360.0, 920.0])
def test_marks_are_inside_the_frame(width: float) -> None:
    marks = [mark(f"m{i}", 10.0 ** (8 + i / 4), i / 10) for i in range(10)]
    plot = lay_out(marks, width)
    for drawn in plot.drawn:
        assert plot.frame.left <= drawn.x <= plot.frame.right
        assert plot.frame.top <= drawn.top <= drawn.y <= drawn.bottom <= plot.frame.bottom
    assert plot.x_ticks
    assert plot.keyed == (width < 600)


def test_one_mark_and_none() -> None:
    assert lay_out([mark("only", 1e9, 0.5)], 920.0).x_ticks
    assert lay_out([mark("free", 0.0, 0.5)], 920.0) is None
    assert lay_out([], 920.0) is None


@hypothesis.given(st.floats(-5, 5), st.floats(0, 5))
def test_score_ticks_span_the_range(low: float, length: float) -> None:
    ticks, first, last = score_ticks(low, low + length)
    assert first <= low + 1e-6 and last >= low + length - 1e-6
    assert 2 <= len(ticks) <= 12


def test_stairs_join_what_nobody_beats() -> None:
    marks = [mark("a", 1e8, 0.3), mark("b", 1e9, 0.2), mark("c", 1e10, 0.6)]
    plot = lay_out(marks, 920.0)
    a, b, c = plot.drawn
    assert plot.frontier == ((a.x, a.y), (c.x, a.y), (c.x, c.y))
    assert [drawn.unbeaten for drawn in (a, b, c)] == [True, False, True]


def test_in_a_crowd_only_the_unbeaten_keep_their_names() -> None:
    crowd = [mark(f"m{i}", 1e8 * (1 + i), 0.3) for i in range(40)] + [mark("top", 1e11, 0.9)]
    plot = lay_out(crowd, 920.0)
    assert plot.keyed
    assert plot.drawn[0].text == "m0" and plot.drawn[40].text == "top"
    assert [drawn.text for drawn in plot.drawn[1:40]] == [str(i + 1) for i in range(1, 40)]
