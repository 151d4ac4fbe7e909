"""The README names what there is: every method, and only links that lead somewhere."""

import pathlib
import re

import pytest

from moco_jax.methods import METHODS

ROOT = pathlib.Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_readme_lists_every_method():
    listed = re.findall(r"^\| `(\w+)` \| \w+ \|", PAGES[0].read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(METHODS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
    assert "@@" not in page.read_text()


def test_the_readmes_python_is_python():
    blocks = re.findall(r"```python\n(.*?)```", PAGES[0].read_text(), re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        compile(block, "README.md", "exec")
