import importlib.util
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parent.parent.parent


@pytest.fixture
def module():
    spec = importlib.util.spec_from_file_location(
        "fill_readme", ROOT / "experiments/fill_readme.py"
    )
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def test_every_block_of_the_readme_is_filled_by_name(module):
    page = (ROOT / "README.md").read_text()
    names = re.findall(r"<!-- output:(\w+) -->", page)
    assert names == ["demo", "python", "own"]
    for name in names:
        filled = module.fill(page, name, f"what {name} prints")
        assert filled.count(f"<!-- output:{name} -->\n```\nwhat {name} prints\n```") == 1
        assert filled.count("```") == page.count("```")
        page = filled


def test_a_block_that_is_missing_is_named(module):
    with pytest.raises(ValueError, match="output:other"):
        module.fill("no blocks", "other", "")
