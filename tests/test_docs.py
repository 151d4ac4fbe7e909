"""Each level has a page for those who choose a method, and every method is on it."""

import dataclasses
import pathlib
import re

import pytest

from moco_jax.method import Method
from moco_jax.methods import METHODS
from moco_jax.methods.api import API
from moco_jax.methods.baseline import BASELINE
from moco_jax.methods.logit import LOGIT
from moco_jax.methods.text import TEXT
from moco_jax.methods.weight import WEIGHT

PAGES = pathlib.Path(__file__).parent.parent / "docs" / "levels"
LEVELS = {"api": API, "baseline": BASELINE, "logit": LOGIT, "text": TEXT, "weight": WEIGHT}
ARXIV = r"\d{4}\.\d{5}"


def page(level: str) -> str:
    return (PAGES / f"{level}.md").read_text()


def test_every_level_has_a_page_and_a_link_to_it():
    assert sorted(path.stem for path in PAGES.glob("*.md")) == sorted(LEVELS)
    readme = (PAGES.parent.parent / "README.md").read_text()
    for level in LEVELS:
        assert f"(docs/levels/{level}.md)" in readme


@pytest.mark.parametrize("level", LEVELS)
def test_the_table_of_a_level_lists_its_methods(level: str):
    assert sorted(re.findall(r"^\| `(\w+)` \|", page(level), re.MULTILINE)) == sorted(LEVELS[level])


@pytest.mark.parametrize("name", sorted(METHODS))
def test_papers_of_a_method_are_on_its_page(name: str):
    level = next(level for level, methods in LEVELS.items() if name in methods)
    source = re.search(r"Source:.*?\n\n", METHODS[name].__doc__ or "", re.DOTALL)
    cited = set(re.findall(ARXIV, source.group() if source else ""))
    assert cited <= set(re.findall(ARXIV, page(level)))


def sections() -> list[tuple[str, str]]:
    """(method, text) of every section that is about one method."""
    return [
        found
        for level in LEVELS
        for found in re.findall(
            r"^## `(\w+)`\n(.*?)(?=^## |\Z)", page(level), re.DOTALL | re.MULTILINE
        )
    ]


@pytest.mark.parametrize(("name", "text"), sections(), ids=lambda value: value[:24].strip())
def test_settings_that_a_section_names_exist(name: str, text: str):
    method: type[Method] = METHODS[name]
    known = {field.name for field in dataclasses.fields(method)}
    words = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)(?:: [^`]*)?`", text)) - set(METHODS)
    assert words <= known, f"{name} has no {', '.join(sorted(words - known))}"
