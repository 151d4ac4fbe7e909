"""Models that judge: values by hand, kept once, part of the run's identity, and end to end."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
import toy_methods

from moco_jax import testing
from moco_jax.cli.main import main
from moco_jax.decoding.hooks import NoStore, unmetered
from moco_jax.models.encoder import embed
from moco_jax.models.heads import score_sequences
from moco_jax.runs import RunConfig, judgements, run
from moco_jax.runs.encoders import Encoders
from moco_jax.runs.judges import make_judges
from moco_jax.runs.ledger import Ledger
from moco_jax.tasks import ROLES, Case

ROLE_OF = {
    "reward_model": "reward_model",
    "text_generation": "reward_model",
    "general_verifier": "verifier",
    "generation_diversity": "embedding_model",
}


class DictStore(dict):
    """A store in memory that counts what it is given."""

    def put(self, key, record):
        self[key] = json.loads(json.dumps(record))


def cases(count=3):
    return [Case(f"question {i}", "A" * (3 * i + 1), ("AAAA", f"other {i}")) for i in range(count)]


@pytest.fixture(scope="module")
def models():
    return {
        "reward_model": testing.dummy_reward_model(),
        "verifier": testing.dummy_member("dummy:verifier", 5, max_positions=2048),
        "embedding_model": testing.dummy_encoder(),
    }


def judges_of(models, kind):
    return make_judges([kind], RunConfig("m", "t", ("x",)), models)


def bound(models, kind, store=None, meter=unmetered):
    model = judges_of(models, kind)[ROLE_OF[kind]]
    return model.bind(NoStore() if store is None else store, meter)


def test_a_reward_is_the_head_s_score_of_the_finished_conversation(models):
    member, case = models["reward_model"], cases()[1]
    text = f"<|user|>{case.question}<|end|><|assistant|>{case.answer}<|end|>"
    tokens = jnp.array([member.tokenizer.encode(text, add_special_tokens=False)])
    wanted = score_sequences(member.config, member.params, tokens, jnp.arange(tokens.size)[None])
    found = bound(models, "reward_model")(cases())
    assert found[1] == pytest.approx(float(wanted[0, 0]), rel=1e-4)
    assert len(set(found)) == 3


@pytest.mark.parametrize("kind", ["reward_model", "generation_diversity", "general_verifier"])
def test_a_value_depends_on_its_own_case_alone_and_is_computed_once(models, kind):
    store, ledger = DictStore(), Ledger()
    judge = bound(models, kind, store, ledger.judging)
    one = judge(cases()[1:2])
    assert judge(cases())[1] == one[0]
    kept = len(store)
    spent = ledger.total("judge").spent.requests
    assert judge(cases() + cases()) == 2 * judge(cases())
    assert len(store) == kept >= 3
    assert ledger.total("judge").spent.requests == spent == 3
    assert ledger.total("judge").attributed.flops > ledger.total("judge").spent.flops > 0
    assert ledger.total().attributed.requests == 0


def test_a_conversation_beyond_the_context_loses_its_middle():
    member = testing.dummy_reward_model()
    judge = judgements.reward(member, NoStore(), unmetered)
    long = "x" * 3000
    assert judge([Case("why", f"a{long}b")]) == judge([Case("why", f"a{long}{long}b")])


def test_diversity_is_one_minus_the_mean_cosine_over_real_tokens_only(models):
    encoder, case = models["embedding_model"], cases()[2]

    def vector(text):
        tokens = jnp.array([encoder.tokenizer(text)["input_ids"]])
        return np.asarray(embed(encoder.config, encoder.params, tokens, tokens >= 0))[0]

    mean = np.mean([vector(text) @ vector(case.answer) for text in case.references])
    found = bound(models, "generation_diversity")([case, Case("q", "AAAA", ("AAAA",))])
    assert found[0] == pytest.approx(1 - mean, abs=1e-5)
    assert found[1] == pytest.approx(0, abs=1e-5)


def test_references_are_embedded_once(models, monkeypatch):
    embedded = []
    real = judgements._embed

    def spy(encoder, texts):
        embedded.extend(texts)
        return real(encoder, texts)

    monkeypatch.setattr(judgements, "_embed", spy)
    judge = bound(models, "generation_diversity")
    judge([Case("q", "one", ("r", "s"))])
    judge([Case("q", "two", ("s", "r"))])
    assert sorted(embedded) == ["one", "r", "s", "two"]


def test_braces_reach_the_verifier_as_they_are_and_nothing_is_formatted():
    prompt = judgements.verdict_prompt(Case("{x} {0}", r"\frac{1}{2}", ("{a}",)))
    assert r"\frac{1}{2}" in prompt
    assert "{{" not in prompt
    assert "{x} {0}" in prompt
    assert ": {a}\n" in prompt


@pytest.mark.parametrize(
    ("reply", "decision"),
    [
        ("Final Decision: Yes", True),
        ("**Final Decision:** yes.", True),
        ("I will not say Final Decision: Yes. Final Decision: No", False),
        ("Final Decision: No. Wait. Final Decision: Yes", True),
        ("Final decision: yesterday", None),
        ("They are equivalent.", None),
        ("", None),
    ],
)
def test_the_last_decision_wins(reply, decision):
    assert judgements.last_decision(reply) is decision


def test_verdicts_come_from_what_the_verifier_writes(models, monkeypatch):
    replies = {"A": "Final Decision: Yes", "AAAA": "Final Decision: No", "AAAAAAA": "Hm."}

    def answer(name, request):
        text = request.messages[-1].content
        return replies[text.split("Student Answer: ")[1].split("\n")[0]]

    engine = testing.ScriptedEngine(answer)
    monkeypatch.setattr(judgements, "Engine", lambda **_: engine)
    assert bound(models, "general_verifier")(cases()) == [1.0, 0.0, 0.0]
    assert {request.purpose for _, request in engine.asked} == {"verdict"}


@pytest.mark.parametrize("kind", ROLE_OF)
def test_a_run_is_judged_found_again_and_not_judged_twice(models, kind, tmp_path, monkeypatch):
    role = ROLE_OF[kind]
    task, pool = testing.dummy_task(kind, size=4), testing.dummy_pool(2)

    def go(**settings):
        return run(
            toy_methods.Relay,
            pool,
            task,
            out=tmp_path,
            sampling=testing.SHORT,
            batch_size=8,
            judges={role: models[role]},
            **settings,
        )

    result = go()
    record = json.loads((result.directory / "config.json").read_text())
    assert [judge["role"] for judge in record["judges"]] == [role]
    assert record["config"][role] == record["judges"][0]["name"]
    if kind != "general_verifier":
        assert "scored" in result.outcomes
    lines = json.loads((result.directory / "ledger.json").read_text())["lines"]
    assert "judge" in {line["phase"] for line in lines}
    assert result.judges == {role: record["config"][role]}
    rows = (result.directory / "responses.jsonl").read_text()

    def refuse(*args, **kwargs):
        raise AssertionError("judged twice")

    monkeypatch.setattr(judgements, "_rewards", refuse)
    monkeypatch.setattr(judgements, "_embed", refuse)
    assert go() == result
    again = go(anew=True)
    assert (again.directory / "responses.jsonl").read_text() == rows
    spent = [
        line["spent"]["requests"]
        for line in json.loads((again.directory / "ledger.json").read_text())["lines"]
        if line["phase"] == "judge"
    ]
    assert spent and not any(spent)


def test_a_run_killed_while_judging_goes_on_and_ends_like_an_unbroken_one(
    models, tmp_path, monkeypatch
):
    task, pool = testing.dummy_task("reward_model", size=4), testing.dummy_pool(2)
    real, judged = judgements._rewards, []

    def go(out):
        return run(
            toy_methods.Relay,
            pool,
            task,
            out=out,
            sampling=testing.SHORT,
            batch_size=8,
            judges={"reward_model": models["reward_model"]},
        )

    def counted(member, rows, limit=None):
        for place, value in real(member, rows):
            if len(judged) == limit:
                raise KeyboardInterrupt
            judged.append(tuple(rows[place]))
            yield place, value

    monkeypatch.setattr(judgements, "_rewards", lambda m, r: counted(m, r, limit=3))
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "broken")
    monkeypatch.setattr(judgements, "_rewards", counted)
    broken = go(tmp_path / "broken")
    # The one that was judged when the run died was not kept yet, so it may be judged again
    assert len(judged) <= len(set(judged)) + 1
    whole = go(tmp_path / "whole")
    for name in ("responses.jsonl", "singles.jsonl"):
        assert (broken.directory / name).read_text() == (whole.directory / name).read_text()


def test_another_judge_is_another_run_and_dev_ranks_by_any_number(models, tmp_path):
    task, pool = testing.dummy_task("reward_model", size=4), testing.dummy_pool(3)
    found = [
        run(
            "best_on_dev",
            pool,
            task,
            out=tmp_path,
            sampling=testing.SHORT,
            batch_size=8,
            judges={"reward_model": testing.dummy_reward_model(seed)},
        )
        for seed in (0, 1)
    ]
    assert found[0].directory != found[1].directory
    for result in found:
        best = max(member.dev for member in result.members)
        assert result.best_single.dev == best
        assert len({member.dev for member in result.members}) > 1
        assert result.outcomes == {"scored": 4}
        low, high = result.interval
        assert low <= result.score <= high


def test_models_of_the_wrong_sort_are_refused_with_what_to_pass(models):
    pairs = [
        ("reward_model", "verifier", "ForSequenceClassification"),
        ("general_verifier", "reward_model", "writes its verdict"),
        ("generation_diversity", "verifier", "is an encoder"),
        ("reward_model", "embedding_model", "takes a decoder"),
    ]
    for kind, model, reason in pairs:
        role = ROLE_OF[kind]
        with pytest.raises(
            ValueError, match=rf"(?s){reason}.*--{role}=NAME.*{ROLES[role].default}"
        ):
            judges_of({role: models[model]}, kind)
    with pytest.raises(ValueError, match="unknown judge 'referee'"):
        judges_of({"referee": "x"}, "exact_match")
    assert judges_of({}, "exact_match") == {}


def test_a_judge_that_is_not_there_is_named_before_anything_is_computed(tmp_path):
    task, pool = testing.dummy_task("reward_model", size=2), testing.dummy_pool(1)
    with pytest.raises(ValueError, match=r"(?s)no directory.*--reward_model=NAME"):
        run("single_model", pool, task, out=tmp_path, judges={"reward_model": str(tmp_path / "no")})
    assert not list(tmp_path.iterdir())


def test_an_encoder_s_identity_is_known_without_its_weights(tmp_path, models, monkeypatch):
    testing.save_encoder(models["embedding_model"], tmp_path / "encoder")
    store = DictStore()
    first = Encoders(str(tmp_path / "encoder")).identities(store)
    assert first == Encoders(models["embedding_model"]).identities(store)
    monkeypatch.setattr("moco_jax.runs.encoders.load_encoder", None)
    assert Encoders(str(tmp_path / "encoder")).identities(store) == first


def test_the_command_line_names_judges(tmp_path, models, capsys):
    models["reward_model"].save(tmp_path / "reward")
    models["verifier"].save(tmp_path / "verifier")
    testing.save_encoder(models["embedding_model"], tmp_path / "encoder")
    testing.dummy_member("dummy:member", 1).save(tmp_path / "member")
    row = {"input": "What is 1 + 1?", "output": "2", "reference": ["two", "1"]}
    places = {"reward_model": "reward", "verifier": "verifier", "embedding_model": "encoder"}
    for kind, role in ROLE_OF.items():
        file = tmp_path / f"{kind}.json"
        file.write_text(json.dumps({"task_type": kind, "dev": [row], "test": [row, row]}))
        words = [
            "run",
            "--method=single_model",
            f"--task={file}",
            f"--models={tmp_path / 'member'}",
            f"--{role}={tmp_path / places[role]}",
            f"--out={tmp_path / 'runs'}",
            "--max_new_tokens=4",
            "--batch_size=2",
            "--compilation_cache=none",
        ]
        assert main(words) == 0, capsys.readouterr().err
        shown = capsys.readouterr().out
        assert f"judged by    {tmp_path / places[role]}" in shown
