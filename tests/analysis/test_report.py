import html.parser
import json
import pathlib
import re
from collections.abc import Callable

import pytest

from moco_jax.analysis import report
from moco_jax.analysis.benches import sort_out
from moco_jax.analysis.load import load_runs
from moco_jax.analysis.payload import script_json
from moco_jax.tasks import Task

NASTY = "</script><script>alert('x')</script><!-- \u2028 <img src=x onerror=alert(1)> \ud800"


class Page(html.parser.HTMLParser):
    """Elements, their attributes, and what stands in scripts."""

    def __init__(self, source: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.elements and self.elements[-1][0] == "script":
            self.scripts[-1] += data


@pytest.fixture
def source(make_run: Callable[..., pathlib.Path], nasty_task: Task, tmp_path: pathlib.Path) -> str:
    make_run("text_vote<script>", on=nasty_task, texts={0: NASTY})
    make_run("api_cascade", on=nasty_task)
    return report.html(sort_out(load_runs(tmp_path / "runs")), "<b>mine</b>")


def test_model_text_cannot_become_markup(source: str) -> None:
    page = Page(source)
    assert [dict(attrs).get("type") for tag, attrs in page.elements if tag == "script"] == [
        "application/json",
        None,
    ]
    assert not any(tag == "img" for tag, _ in page.elements)
    assert not any(name.startswith("on") for _, attrs in page.elements for name in attrs)
    assert "innerHTML" not in page.scripts[1].replace("never through innerHTML", "")


def test_the_data_hold_the_texts_as_they_were(source: str) -> None:
    data = json.loads(Page(source).scripts[0])
    (bench,) = data["benches"]
    (voice,) = [voice for voice in bench["voices"] if voice["name"] == "text_vote<script>"]
    assert data["strings"][voice["answers"][0][0]] == NASTY
    assert bench["items"][0]["gold"] == ["A"]
    assert len(bench["voices"]) == 3 + 2
    assert len(data["strings"]) == len(set(data["strings"]))


def test_the_page_needs_nothing_else(source: str) -> None:
    page = Page(source)
    for tag, attrs in page.elements:
        assert tag not in ("link", "iframe", "img"), attrs
        assert "src" not in attrs
        assert attrs.get("href", "#").startswith("#")
    assert not re.search(r"https?://|@import|url\(|fetch\(|XMLHttpRequest", source)


def test_elements_are_closed_and_ids_unique(source: str) -> None:
    ids = [attrs["id"] for _, attrs in Page(source).elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {"list", "detail", "data", "items", "bench-1"} <= set(ids)
    for tag in ("table", "svg", "section", "tr", "td", "th", "g"):
        assert len(re.findall(rf"<{tag}[ >]", source)) == source.count(f"</{tag}>"), tag


def test_a_report_is_written_whole(
    make_run: Callable[..., pathlib.Path], tmp_path: pathlib.Path
) -> None:
    make_run(texts={1: NASTY})
    path = tmp_path / "new" / "report.html"
    report.write_report(sort_out(load_runs(tmp_path / "runs")), path, "Runs")
    assert path.read_text().rstrip().endswith("</html>")


@pytest.mark.parametrize("text", ["</script>", "<!--", "\u2028\u2029", "&amp;", "\ud800"])
def test_script_json_is_inert(text: str) -> None:
    made = script_json({"x": text})
    assert not set("<>&\u2028\u2029") & set(made)
    assert json.loads(made) == {"x": text}


def test_helpers_alone_are_rows_and_a_method_that_is_no_better_says_so(
    make_run: Callable[..., pathlib.Path], tmp_path: pathlib.Path
) -> None:
    make_run("api_switch", right=0.5, helpers={"selector": "tiny:large"}, helping=1.0)
    page = report.html(sort_out(load_runs(tmp_path / "runs")))
    assert "tiny:large <small>selector alone</small>" in page
    assert re.search(r"&lt; its selector tiny:large alone</small>", page)
    assert page.count("<small>alone</small>") == 2
    assert "greedy; test sampled at T=0.7" in page
