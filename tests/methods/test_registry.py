"""From the name of a method to an instance with checked hyperparameters."""

import dataclasses
import importlib.metadata
from typing import Any, ClassVar, Literal

import pytest

from moco_jax.method import Method
from moco_jax.methods import METHODS, HyperparameterError, make_method, registry, resolve, spec_of
from moco_jax.methods.hyperparameters import convert
from moco_jax.methods.text.majority_vote import MajorityVote

SOURCE = """
from __future__ import annotations
import moco_jax.methods as methods

@methods.weight_method
def midpoint(leaf, base, key, share: float = 0.5):
    return leaf.mean(0) * (2 * share)

def plain(leaf):
    return leaf
"""


@dataclasses.dataclass(frozen=True)
class Everything(Method):
    """One field of each type."""

    name: ClassVar[str] = "everything"

    must: str
    flag: bool = False
    count: int = 1
    rate: float = 0.5
    word: Literal["a", "b"] = "a"
    limit: int | None = None
    names: tuple[str, ...] = ()
    pair: tuple[int, float] = (1, 1.0)
    values: list[float] = dataclasses.field(default_factory=list)
    anything: Any = None

    def fit(self, bench):
        raise NotImplementedError


def test_built_in_names():
    assert resolve("text_majority_vote") is MajorityVote
    assert spec_of(MajorityVote) == "text_majority_vote"


def test_unknown_names_offer_the_nearest():
    with pytest.raises(ValueError, match=r"did you mean .*weight_greedy_soup"):
        resolve("greedy_soup")
    with pytest.raises(ValueError, match=r"did you mean .*text_majority_vote"):
        resolve("majority_votes")


def test_modules():
    assert resolve("moco_jax.methods.text.majority_vote:MajorityVote") is MajorityVote
    with pytest.raises(ValueError, match="no module 'no_such_package'"):
        resolve("no_such_package.mod:attr")
    with pytest.raises(ValueError, match=r"methods it has: .*MajorityVote"):
        resolve("moco_jax.methods.text.majority_vote:Majority")
    with pytest.raises(ValueError, match="vote_weight, a function and no method"):
        resolve("moco_jax.methods.text.majority_vote:vote_weight")


def test_files(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(SOURCE)
    found = resolve(f"{file}:midpoint")
    assert issubclass(found, Method)
    assert found.name == "midpoint"
    assert spec_of(found) == f"{file}:midpoint"
    assert resolve(spec_of(found)) is found
    assert make_method(f"{file}:midpoint", {"share": 1}).share == 1.0
    with pytest.raises(ValueError, match="plain, a function and no method: decorate"):
        resolve(f"{file}:plain")
    with pytest.raises(ValueError, match="no 'midpoints' there; methods it has: midpoint"):
        resolve(f"{file}:midpoints")
    with pytest.raises(FileNotFoundError, match=r"nothing\.py"):
        resolve(f"{tmp_path}/nothing.py:midpoint")


def test_a_file_that_fails_is_read_again(tmp_path):
    file = tmp_path / "broken.py"
    file.write_text("raise KeyError('no')")
    with pytest.raises(KeyError):
        resolve(f"{file}:midpoint")
    file.write_text(SOURCE)
    assert resolve(f"{file}:midpoint").name == "midpoint"


def test_entry_points(monkeypatch):
    entry = importlib.metadata.EntryPoint(
        "their_vote", "moco_jax.methods.text.majority_vote:MajorityVote", registry.ENTRY_POINTS
    )
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [entry])
    assert resolve("their_vote") is MajorityVote


def test_json_values_become_fields():
    made = make_method(
        Everything,
        {
            "must": "x",
            "flag": 1,
            "count": True,
            "rate": 2,
            "limit": None,
            "names": ["a", "b"],
            "pair": [3, 4],
            "values": [1, 2.5],
            "anything": {"a": 1},
        },
    )
    assert made.flag is True
    assert made.count == 1 and type(made.count) is int
    assert made.rate == 2.0 and type(made.rate) is float
    assert made.names == ("a", "b")
    assert made.pair == (3, 4.0) and type(made.pair[1]) is float
    assert made.values == [1.0, 2.5]
    assert made.limit is None


@pytest.mark.parametrize(
    ("field", "value", "wanted"),
    [
        ("flag", 2, "true or false"),
        ("flag", "yes", "true or false"),
        ("count", 1.5, "an integer"),
        ("rate", True, "a number"),
        ("rate", "0.5", "a number"),
        ("word", "c", "one of 'a', 'b'"),
        ("limit", "none", "an integer or null"),
        ("names", "a", "a list of a text"),
        ("names", [1], "a list of a text"),
        ("pair", [1], "a list of an integer, a number"),
    ],
)
def test_wrong_types_say_what_would_do(field, value, wanted):
    with pytest.raises(
        HyperparameterError, match=f"everything: {field} is .*; it must be {wanted}"
    ):
        make_method(Everything, {"must": "x", field: value})


def test_missing_and_out_of_range_values_are_named():
    with pytest.raises(HyperparameterError, match="everything needs must"):
        make_method(Everything, {})
    with pytest.raises(HyperparameterError, match="api_prompt_routing needs model_descriptions"):
        make_method("api_prompt_routing", {})
    with pytest.raises(
        HyperparameterError, match=r"percentage is 1\.5; it must be at least 0 and at"
    ):
        make_method("api_cascade", {"percentage": 1.5})
    with pytest.raises(HyperparameterError, match="round is 0; it must be at least 1"):
        make_method("text_multiagent_refine", {"round": 0})


def test_flags_are_no_literals():
    with pytest.raises(TypeError):
        convert(Literal[1, 2], True)


def test_levels_do_not_share_names():
    levels = (registry.BASELINE, registry.API, registry.TEXT, registry.LOGIT, registry.WEIGHT)
    assert sum(len(level) for level in levels) == len(METHODS)


def test_both_spellings_of_the_reference_are_taken():
    based = {"base_model_name": "dummy:0"}
    long = {"cognitive_coefficient": 0.1, "repel_term_flag": False, "lambda": 0.5}
    method = make_method("weight_dare_ties", {**based, **long})
    assert (method.cognitive_coeff, method.repel_term, method.lambda_) == (0.1, False, 0.5)
    with pytest.raises(HyperparameterError, match="give only repel_coeff"):
        make_method("weight_dare_ties", {**based, "repel_coeff": 0, "repel_coefficient": 0})
    with pytest.raises(HyperparameterError, match="no hyperparameter 'lambda'"):
        make_method("weight_average", {"lambda": 1})
