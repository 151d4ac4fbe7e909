"""A run from start to finished directory, found again, loaded again."""

import dataclasses
import json
import pathlib

import pytest
import toy_methods

from moco_jax import testing
from moco_jax.method import NeedsError
from moco_jax.methods import METHODS
from moco_jax.runs import execution, load_system, run, write_reference_log
from moco_jax.runs.config import RunConfig
from moco_jax.runs.execution import read_result
from moco_jax.runs.store import SqliteStore
from moco_jax.runs.words import OF_METHOD, REFUSED

FILES = [
    "artifacts",
    "config.json",
    "ledger.json",
    "responses.jsonl",
    "result.json",
    "singles.jsonl",
    "transcripts.jsonl",
]


@pytest.fixture(scope="module")
def pool():
    return testing.dummy_pool(2)


@pytest.fixture(scope="module")
def task():
    return testing.dummy_task(size=8)


@pytest.fixture(scope="module")
def finished(pool, task, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    return run(toy_methods.Relay, pool, task, out=out, sampling=testing.SHORT, batch_size=8)


def rows(result, name):
    return [json.loads(line) for line in (result.directory / name).read_text().splitlines()]


def test_the_directory_is_whole_and_named_after_its_config(finished):
    assert sorted(path.name for path in finished.directory.iterdir()) == FILES
    config = json.loads((finished.directory / "config.json").read_text())
    assert finished.directory.name == f"relay-dummy_multiple_choice-{config['digest'][:10]}"
    assert config["method"]["hyperparameters"] == {"probes": 2}
    assert config["dtype"] == "float32"
    assert config["versions"].keys() >= {"jax", "moco_jax", "engine"}
    assert not list(finished.directory.parent.glob("*.unfinished"))


def test_rows_stand_in_the_task_s_order_and_hold_no_golds(finished, task):
    answers = rows(finished, "responses.jsonl")
    assert [row["id"] for row in answers] == [item.id for item in task.test.items]
    assert answers[0].keys() == {
        "id",
        "group",
        "prompt",
        "response",
        "reasoning",
        "parsed",
        "outcome",
        "finish",
        "score",
        "speaker",
        "cut_tokens",
        "notes",
        "usage",
    }
    assert answers[0]["notes"]["probes"] == 2
    turns = rows(finished, "transcripts.jsonl")[0]["turns"]
    assert [turn["role"] for turn in turns] == ["answer"] * 4 + ["second thoughts"] * 2
    singles = rows(finished, "singles.jsonl")
    assert [row["member"] for row in singles[:3]] == ["dummy:0", "dummy:1", "dummy:0"]


def test_the_result_follows_from_the_files(finished, task):
    answers, singles = rows(finished, "responses.jsonl"), rows(finished, "singles.jsonl")
    scores = [row["score"] for row in answers]
    assert finished.n == len(task.test)
    assert finished.score == pytest.approx(sum(scores) / len(scores))
    alone = [[row["score"] for row in singles[place::2]] for place in range(2)]
    assert finished.ceiling == pytest.approx(sum(map(max, *alone)) / 8)
    assert [member.test for member in finished.members] == [sum(one) / 8 for one in alone]
    best = max(finished.members, key=lambda member: member.dev)
    assert finished.best_single == best
    assert finished.difference.mean == pytest.approx(finished.score - best.test)
    assert sum(finished.outcomes.values()) == 8
    assert finished.cut == sum(row["finish"] == "length" for row in answers) / 8


def test_member_answers_come_from_the_store_when_the_method_asked_the_same(finished):
    # The method's answer round asked what the comparison asks: nothing is computed twice.
    ledger = json.loads((finished.directory / "ledger.json").read_text())
    compared = [line for line in ledger["lines"] if line["phase"] == "score"]
    # Both members on dev and test, and the best of them greedily on test, which nobody asked yet
    assert sum(line["attributed"]["requests"] for line in compared) == 2 * 8 + 2 * 8 + 8
    assert sum(line["spent"]["requests"] for line in compared) == 8
    fitted = [line for line in ledger["lines"] if line["phase"] == "fit"]
    assert {line["purpose"] for line in fitted} == {"probe", "dev"}


def test_the_ledger_agrees_with_the_responses(finished):
    ledger = json.loads((finished.directory / "ledger.json").read_text())
    booked = [line["attributed"] for line in ledger["lines"] if line["phase"] == "respond"]
    usages = [row["usage"] for row in rows(finished, "responses.jsonl")]
    for name in ("prompt_tokens", "new_tokens", "forwards"):
        assert sum(line[name] for line in booked) == sum(usage[name] for usage in usages)


def test_a_finished_run_is_found_again(finished, pool, task, monkeypatch):
    out = finished.directory.parent
    again = {"out": out, "sampling": testing.SHORT, "batch_size": 8}
    with monkeypatch.context() as patch:
        patch.setattr(execution, "_fit", None)
        assert run(toy_methods.Relay, pool, task, **again) == finished
    anew = run(toy_methods.Relay, pool, task, anew=True, **again)
    assert anew.directory == finished.directory
    assert anew.score == finished.score
    assert anew.cost.attributed == finished.cost.attributed
    assert anew.cost.spent.requests == 0
    assert read_result(anew.directory) == anew


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"hyperparameters": {"probes": 1}}, {"batch_size": 4}]
)
def test_another_setting_is_another_run(finished, pool, task, change):
    settings = {"out": finished.directory.parent, "sampling": testing.SHORT, "batch_size": 8}
    other = run(toy_methods.Relay, pool, task, **(settings | change))
    assert other.directory != finished.directory


def test_needs_are_checked_first(task, tmp_path):
    with pytest.raises(NeedsError, match="at least 2 members"):
        run(toy_methods.Relay, testing.dummy_pool(1), task, out=tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


def test_unknown_and_claimed_names_are_errors(pool, task, tmp_path):
    with pytest.raises(ValueError, match=r"probs.*did you mean probes"):
        run(toy_methods.Relay, pool, task, out=tmp_path, hyperparameters={"probs": 1})
    with pytest.raises(ValueError, match="did you mean temperature"):
        run(toy_methods.Relay, pool, task, out=tmp_path, hyperparameters={"temprature": 1})
    with pytest.raises(ValueError, match="ready made"):
        run(toy_methods.Relay(), pool, task, out=tmp_path, hyperparameters={"probes": 1})
    with pytest.raises(ValueError, match="'temperature', a name that belongs to the run"):
        run(toy_methods.Greedy, pool, task, out=tmp_path)
    with pytest.raises(ValueError, match="loaded already"):
        run(toy_methods.Relay, pool, task, out=tmp_path, ratio=0.5)
    with pytest.raises(ValueError, match=r"loaded in float32"):
        run(toy_methods.Relay, pool, task, out=tmp_path, dtype="bfloat16")


@pytest.mark.parametrize("name", sorted(METHODS))
def test_no_method_claims_a_name_of_the_run(name):
    fields = {field.name for field in dataclasses.fields(METHODS[name])}
    assert fields & REFUSED == OF_METHOD.get(name, frozenset())


def test_methods_go_by_name_and_by_file(pool, task, tmp_path):
    settings = {"out": tmp_path, "sampling": testing.SHORT, "batch_size": 8}
    named = run("best_on_dev", pool, task, **settings)
    assert named.difference.mean == 0
    assert named.verdict == "within noise of"
    file = pathlib.Path(toy_methods.__file__)
    first = run(f"{file}:Solo", pool, task, **settings)
    copy = tmp_path / "mine.py"
    copy.write_text(file.read_text())
    same = run(f"{copy}:Solo", pool, task, **settings)
    assert same.directory == first.directory
    copy = tmp_path / "mine2.py"
    copy.write_text(file.read_text() + "# a remark\n")
    assert run(f"{copy}:Solo", pool, task, **settings).directory == first.directory
    copy = tmp_path / "mine3.py"
    copy.write_text(
        file.read_text().replace("context.answer(0, items)", "context.answer(-2, items)")
    )
    assert run(f"{copy}:Solo", pool, task, **settings).directory != first.directory
    responses = load_system(first.directory, pool).ask(task.test.items[:2])
    assert [response.text for response in responses] == [
        row["response"] for row in rows(first, "responses.jsonl")[:2]
    ]


def test_a_loaded_system_answers_as_the_run_did(finished, pool, task):
    system = load_system(finished.directory, pool)
    answers = rows(finished, "responses.jsonl")
    responses = system.ask(task.test.items)
    assert [response.text for response in responses] == [row["response"] for row in answers]
    (fresh,) = system.ask(["What is it?"])
    assert fresh.transcript[0].text.startswith("What is it?\n")
    with pytest.raises(ValueError, match="run with 2 members"):
        load_system(finished.directory, testing.dummy_pool(3))
    with pytest.raises(ValueError, match="is not the dummy:0"):
        load_system(finished.directory, testing.dummy_pool(2, seed=9))
    with pytest.raises(FileNotFoundError, match="no finished run"):
        load_system(finished.directory.parent, pool)


def test_the_reference_s_log_can_be_written(finished, tmp_path):
    path = write_reference_log(finished.directory, tmp_path / "logs")
    assert path.name == f"{finished.task}_2_{round(finished.score, 4)}_relay.json"
    log = json.loads(path.read_text())
    assert log["avg_test_score"] == finished.score
    assert log["hyperparameters"]["max_response_length"] == 4
    assert log["hyperparameters"]["probes"] == 2
    assert log["logs"][0].keys() == {"input", "output", "score"}
    assert len(log["logs"]) == finished.n


def test_the_written_config_reads_as_a_config(finished):
    config = RunConfig.from_json(finished.directory / "config.json")
    assert config.method == "toy_methods:Relay"
    assert config.models == ("dummy:0", "dummy:1")
    assert config.sampling == testing.SHORT


def test_the_store_is_shared_and_sound(finished):
    with SqliteStore(finished.directory.parent / "store.sqlite") as store:
        assert store.size().records > 0
        assert store.verify() == []


def test_a_result_prints_what_counts(finished):
    text = str(finished)
    assert finished.verdict in text
    assert finished.best_single.name in text
    assert str(finished.directory) in text
    worse = dataclasses.replace(finished, verdict="loses to")
    assert "loses to the best single" in str(worse)


@dataclasses.dataclass(frozen=True)
class Studied(toy_methods.Relay):
    """A relay that says it has read some texts before."""

    texts: tuple[str, ...] = ()

    def training_texts(self):
        return self.texts


def test_test_questions_in_a_method_s_training_data_are_told(pool, task, tmp_path):
    texts = tuple(f"Q: {item.question} A: 1" for item in task.test.items[:2])
    settings = {"sampling": testing.SHORT, "batch_size": 8}
    result = run(Studied(texts=texts), pool, task, out=tmp_path, **settings)
    assert result.trained_on == 2 / 8
    assert "2 of 8 test items stand in what the method trained on" in str(result)
    assert result.leaked == result.leaked_questions == 0
