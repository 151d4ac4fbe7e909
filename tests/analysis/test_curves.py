"""Growth curves as SVG."""

import re
import xml.etree.ElementTree as ElementTree

import pytest

from moco_jax.analysis.curves import HEIGHT, WIDTH, growth_plot


def test_curves_stand_inside_the_frame_and_names_are_escaped():
    curves = {"a < b": [(1, 0.5), (8, 40)], "two": [(4, 0.7)]}
    drawn = ElementTree.fromstring(growth_plot("rows & time", "rows", "seconds", curves))
    space = "{http://www.w3.org/2000/svg}"
    lines = [line.get("points").split() for line in drawn.iter(f"{space}polyline")]
    assert [len(line) for line in lines] == [2, 1]
    places = [tuple(map(float, point.split(","))) for line in lines for point in line]
    assert all(0 < x < WIDTH and 0 < y < HEIGHT for x, y in places)
    assert "a < b" in [text.text for text in drawn.iter(f"{space}text")]


def test_names_stand_below_all_curves_and_inside_the_picture():
    drawn = ElementTree.fromstring(growth_plot("t", "x", "y", {"a": [(1, 1)], "b": [(1, 0.1)]}))
    texts = drawn.iter("{http://www.w3.org/2000/svg}text")
    names = [float(text.get("y")) for text in texts if text.text in ("a", "b")]
    assert HEIGHT < names[0] < names[1] < float(drawn.get("height"))


def test_ten_times_as_much_is_one_decade_higher():
    text = growth_plot("t", "x", "y", {"a": [(1, 1), (2, 10), (4, 100)]})
    line = re.search(r'points="([^"]+)"', text)[1]
    (x0, y0), (x1, y1), (x2, y2) = (map(float, point.split(",")) for point in line.split())
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.2) and y0 > y1


@pytest.mark.parametrize("curves", [{}, {"a": [(1, 0)]}])
def test_a_log_axis_refuses_what_it_cannot_show(curves):
    with pytest.raises(ValueError, match="above 0"):
        growth_plot("t", "x", "y", curves)
