"""A finished run that is asked: what draws follow, options, code of others, and what is closed."""

import json
import sqlite3
import sys

import pytest

from moco_jax import testing
from moco_jax.cli.main import main
from moco_jax.decoding.engine import Engine
from moco_jax.runs import execution, load_system, loaded, run
from moco_jax.tasks import Item

POOL = testing.dummy_pool(3)
QUESTIONS = [f"What is {number}?" for number in range(24)]
CHOICE = "Which?\nA) red\nB) green\nC) blue"


class MadeUp(Engine):
    """Writes a letter that follows from member, prompt and draw."""

    def _decode(self, call, plan, places, width):
        for index, place in enumerate(places):
            asked = f"{call.names[place]} {call.requests[place].messages} {plan[place].draw}"
            record = {"text": "ABC"[sum(map(ord, asked)) % 3], "reasoning": "", "finish": "stop"}
            yield index, {**record, "tokens": [1], "logprobs": [-1.0]}


@pytest.fixture(autouse=True)
def made_up(monkeypatch):
    monkeypatch.setattr(execution, "Engine", MadeUp)
    monkeypatch.setattr(loaded, "Engine", MadeUp)


def finished(out, method, kind="exact_match"):
    task = testing.dummy_task(kind, size=3)
    return run(method, POOL, task, out=out, sampling=testing.SHORT, batch_size=2).directory


def speakers(place, questions):
    with load_system(place, POOL) as system:
        return [response.speaker for response in system.ask(questions)]


def test_draws_follow_the_question_wherever_and_whenever_it_is_asked(tmp_path):
    place = finished(tmp_path, "random_member")
    together = speakers(place, QUESTIONS)
    assert len(set(together)) == 3
    assert speakers(place, QUESTIONS[::-1]) == together[::-1]
    with load_system(place, POOL) as system:
        assert [system.ask(question)[0].speaker for question in QUESTIONS] == together
    assert [speakers(place, question)[0] for question in QUESTIONS] == together


def test_who_asks_again_gets_the_next_sample(tmp_path):
    place = finished(tmp_path, "random_member")
    with load_system(place, POOL) as system:
        drawn = [system.ask("What?")[0].speaker for _ in range(12)]
    assert len(set(drawn)) == 3
    assert speakers(place, ["What?"] * 12) == drawn


def test_one_text_or_item_is_one_question(tmp_path):
    with load_system(finished(tmp_path, "best_on_dev"), POOL) as system:
        (response,) = system.ask("What is red?")
        assert "What is red?" in response.transcript[0].text
        item = Item(id="x", prompt="As it is", question="q", kind="exact_match")
        (response,) = system.ask(item)
        assert response.transcript[0].text == "As it is"
        assert len(system.ask(["one?", item])) == 2


def test_options_in_a_text_are_voted_on_as_those_of_the_task(tmp_path):
    place = finished(tmp_path, "text_majority_vote", "multiple_choice")
    with load_system(place, POOL) as system:
        (response,) = system.ask(CHOICE)
        assert sum(dict(response.notes)["votes"].values()) == 3
        assert response.transcript[0].text == f"{CHOICE}\nAnswer with the letter."
        (other,) = system.ask("Which? (A) red (B) green (C) blue")
        assert other.transcript[0].text == response.transcript[0].text


def test_a_vote_without_options_is_refused_with_a_remedy(tmp_path):
    place = finished(tmp_path, "text_majority_vote", "multiple_choice")
    with (
        load_system(place, POOL) as system,
        pytest.raises(ValueError, match=r"'What is red\?'; write each on a line of its own"),
    ):
        system.ask("What is red?")
    place = finished(tmp_path, "best_on_dev", "multiple_choice")
    assert speakers(place, "What is red?")


def test_the_store_is_closed(tmp_path):
    place = finished(tmp_path, "best_on_dev")
    with load_system(place, POOL) as system:
        store = system.context.engine.store
        system.ask("What?")
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        store.get("x")
    load_system(place, POOL).close()


def test_the_mesh_of_the_run_is_used_where_it_is_there(tmp_path, monkeypatch):
    place = finished(tmp_path, "best_on_dev")
    path = place / "config.json"
    record = json.loads(path.read_text())
    warned = []
    monkeypatch.setattr(
        loaded.logging, "warning", lambda text, *values: warned.append(text % values)
    )
    for mesh, sizes in (("data=1", {"data": 1}), ("data=4096", {})):
        record["config"]["mesh"] = mesh
        path.write_text(json.dumps(record))
        with load_system(place, POOL) as system:
            found = system.context.engine.placement.sizes
            assert {axis: count for axis, count in found.items() if axis in sizes} == sizes
    (said,) = warned
    assert "mesh=data=4096" in said and "one device answers" in said


CODE = """
import pathlib
import moco_jax as moco

with pathlib.Path(__file__).with_suffix(".runs").open("a") as runs:
    runs.write("x")


@moco.logit_method
def first(logits):
    return logits[0]
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A run of a method file, as another process finds it; and how often the file ran."""
    (tmp_path / "mine.py").write_text(CODE)
    before = set(sys.modules)
    place = finished(tmp_path / "runs", f"{tmp_path / 'mine.py'}:first")
    for name in set(sys.modules) - before:
        if name.startswith("moco_jax_method_file_"):
            monkeypatch.delitem(sys.modules, name)
    marks = tmp_path / "mine.runs"
    assert marks.read_text() == "x"
    return place, lambda: len(marks.read_text())


def test_a_method_file_runs_only_where_that_is_asked_for(mine, capsys):
    place, runs = mine
    with pytest.raises(PermissionError, match=r"names code of its own, .*mine.py:first"):
        load_system(place, POOL)
    assert main(["ask", str(place), "What?"]) == 2
    err = capsys.readouterr().err
    assert "--run_method_file" in err and "Traceback" not in err
    assert runs() == 1
    with load_system(place, POOL, run_method_file=True) as system:
        assert system.ask("What?")[0].text in "ABC"
    assert runs() == 2
    # What runs in this process anyway needs no leave
    load_system(place, POOL).close()


@pytest.mark.parametrize(
    "change",
    [
        {"class": "evil:System"},
        {"fields": {"spec": "evil.py:first", "settings": []}},
        {"class": "evil.module:System", "fields": {}},
    ],
)
def test_a_system_that_names_other_code_is_refused_too(tmp_path, change):
    place = finished(tmp_path, "logit_logit_fusion")
    path = place / "artifacts" / "system.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(PermissionError, match="evil"):
        load_system(place, POOL)


def test_a_module_that_its_config_names_is_not_imported(tmp_path):
    place = finished(tmp_path, "best_on_dev")
    path = place / "config.json"
    record = json.loads(path.read_text())
    record["config"]["method"] = "this_module_is_nowhere.at_all:Method"
    path.write_text(json.dumps(record))
    with pytest.raises(PermissionError, match="this_module_is_nowhere"):
        load_system(place, POOL)
