"""Merging from the command line: what is refused before anything is written, and how."""

import importlib.util
import pathlib

import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver

from moco_jax import testing
from moco_jax.pool import Pool

SCRIPT = pathlib.Path(__file__).parent.parent.parent / "experiments" / "merge.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("merge_script", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    before = set(flags.FLAGS)
    spec.loader.exec_module(module)
    yield module
    for name in set(flags.FLAGS) - before:
        delattr(flags.FLAGS, name)
    flags.FLAGS.unparse_flags()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Three models, one of another width, and an adapter over the first."""
    folder = tmp_path_factory.mktemp("models")
    members = [testing.dummy_member("any", seed) for seed in range(2)]
    members.append(testing.dummy_member("wide", 0, hidden_size=32))
    for name, member in zip(("one", "two", "wide"), members, strict=True):
        member.save(folder / name)
    config = testing.members.LoraConfig(rank=2, targets=("q_proj",))
    adapter = testing.members.init_adapter(
        members[0].params, config, testing.members.jax.random.key(0)
    )
    testing.members.save_adapter(folder / "adapter", adapter, "../one")
    return folder


def test_names_with_and_without_the_level_merge_alike(script, saved, tmp_path):
    models = [str(saved / "one"), str(saved / "two")]
    script.merge("average", models, None, str(tmp_path / "a"))
    script.merge("weight_average", models, None, str(tmp_path / "b"))
    one, two = (Pool.load([str(tmp_path / name)])[0].params for name in "ab")
    np.testing.assert_array_equal(one["norm"]["scale"], two["norm"]["scale"])


def test_packaged_members_are_named_as_elsewhere(script):
    assert pathlib.Path(script.place("tiny:math")).is_dir()


REFUSED = {
    "no base": (("ties", ["one", "two"], None, "out"), {}, "name it with --base=MODEL"),
    "no models": (("average", [], None, "out"), {}, "name checkpoints with --models"),
    "no out": (("average", ["one", "two"], None, None), {}, "--out=DIRECTORY"),
    "an out that exists": (
        ("average", ["one", "two"], None, "two"),
        {},
        "two exists; name another",
    ),
    "a bad path": (("average", ["one", "./gone"], None, "out"), {}, "there is no directory"),
    "a bad value": (("ties", ["one"], "two", "out"), {"given": ["density=5"]}, "density is 5"),
    "a word": (("ties", ["one"], "two", "out"), {"given": ["density=much"]}, "--method=ties: "),
    "a bad name": (("ties", ["one"], "two", "out"), {"given": ["densty=1"]}, "mean density?"),
    "weights": (
        ("linear", ["one", "two"], None, "out"),
        {"given": ["weights=[1,2,3]"]},
        r"weights are .* for 2 models",
    ),
    "another width": (("average", ["one", "wide"], None, "out"), {}, "hidden_size is 32"),
    "an adapter": (("average", ["one", "adapter"], None, "out"), {}, "is a LoRA adapter over"),
    "three for an arc": (("slerp", ["one", "two", "one"], None, "out"), {}, "merges two models"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_merged_is_said_before_anything_is_written(
    case, script, saved, tmp_path, monkeypatch
):
    (method, models, base, out), more, message = REFUSED[case]
    monkeypatch.chdir(saved)
    before = sorted(saved.iterdir())
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        script.merge(method, models, base, out, **more)
    assert sorted(saved.iterdir()) == before


def test_the_command_line_ends_without_a_traceback(script, saved, tmp_path):
    asked = {"method": "weight_ties", "models": [str(saved / "one")], "out": str(tmp_path / "out")}
    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()
    with flagsaver.flagsaver(**asked), pytest.raises(SystemExit) as caught:
        script.main([])
    assert str(caught.value).startswith("merge.py: --method=ties merges what models changed")
