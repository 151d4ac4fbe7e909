"""Mentor collaboration against hand-written protocols and a slow machine without caches."""

import numpy as np
import pytest
from wordy import predict, wordy_pool

from moco_jax import testing
from moco_jax.decoding.engine import Engine
from moco_jax.decoding.floor import Floor
from moco_jax.decoding.types import Request, Response, Sampling
from moco_jax.methods import make_method, prompts
from moco_jax.methods.api.mentor_collab import Mentored
from moco_jax.runs.config import RunConfig
from moco_jax.system import Context

TOKENS = 20
PATCH = 5
TASK = testing.dummy_task("multiple_choice", 6)
POOL = wordy_pool(2)


def is_space(token):
    return POOL[0].tokenizer.decode([token], skip_special_tokens=True).isspace()


class Slow:
    """The algorithm as it is written down, one full forward pass per token."""

    def __init__(self, prompt, share, decision, repeats, chance):
        self.share, self.decision, self.repeats, self.chance = share, decision, repeats, chance
        self.request = Request.user(prompt)
        self.said, self.tail = [], []
        self.counts = {"asked": 0, "agreed": 0, "mentor": 0}

    def read(self, member, prefix=""):
        return list(member.template.render(self.request.messages, prefix))

    def greedy(self, who, count):
        out = []
        while len(out) < min(count, TOKENS - len(self.said)):
            chances = predict(POOL[who], self.read(POOL[who]) + self.said + out)
            out.append(int(chances.argmax()))
            if out[-1] in POOL[who].eos:
                break
        return out

    def word(self, who):
        out = self.greedy(who, 12)
        ends = (n for n in range(1, len(out)) if is_space(out[n]) or n >= 11)
        return out[: next(ends, len(out))]

    def text(self, tokens):
        return POOL[0].tokenizer.decode(tokens, skip_special_tokens=True)

    def better(self, own, other):
        probe = prompts.continue_with(self.text(own), self.text(other))
        read = self.read(POOL[0], self.text(self.said) + probe)
        chances = predict(POOL[0], read)
        first, second = (POOL[0].tokenizer.convert_tokens_to_ids(label) for label in "AB")
        if self.decision == "generate":
            return chances.argmax() == second
        (end,) = POOL[0].eos
        replies = [chances[one] * predict(POOL[0], [*read, one])[end] for one in (first, second)]
        return replies[1] > replies[0]

    def step(self):
        """Writes on; whether the answer is over."""
        piece, again = self.word(0), False
        if self.chance.random() < self.share:
            self.counts["asked"] += 1
            if self.word(1) == piece:
                self.counts["agreed"] += 1
            else:
                piece, other = self.greedy(0, PATCH), self.greedy(1, PATCH)
                if self.better(piece, other):
                    piece = other
                    self.counts["mentor"] += 1
                text = self.text(piece).strip()
                self.tail += [text] if text else []
                again = bool(text) and self.tail[-self.repeats :] == [text] * self.repeats
        self.said += piece
        again = again and self.repeats > 0
        return piece[-1] in POOL[0].eos or len(self.said) >= TOKENS or again

    def run(self):
        while not self.step():
            pass
        return self.text(self.said), self.counts


@pytest.mark.parametrize(
    ("share", "decision", "repeats"),
    [(1.0, "logprob", 0), (0.4, "generate", 0), (1.0, "logprob", 2)],
)
def test_words_are_those_of_a_slow_machine(share, decision, repeats, monkeypatch):
    monkeypatch.setattr(Floor, "random", lambda *_: np.random.default_rng(5))
    sampling = Sampling(max_new_tokens=TOKENS, temperature=0.7)
    context = Context(POOL, Engine(width=8), sampling, 0)
    said = Mentored(share, PATCH, decision, repeats).respond(TASK.test.items, context)
    chosen = 0
    for item, response in zip(TASK.test.items, said, strict=True):
        slow = Slow(item.prompt, share, decision, repeats, np.random.default_rng(5))
        text, counts = slow.run()
        notes = dict(response.notes)
        assert response.text == text
        assert (notes["decisions"], notes["mentor_chosen"]) == (counts["asked"], counts["mentor"])
        share_of = counts["agreed"] / counts["asked"] if counts["asked"] else None
        assert notes["agreement"] == share_of
        chosen += counts["mentor"]
    assert chosen or decision == "generate"


def test_without_decisions_the_generator_writes_alone():
    sampling = Sampling(max_new_tokens=TOKENS, temperature=0.0)
    context = Context(POOL, Engine(width=8), sampling, 0)
    said = Mentored(0.0, PATCH, "logprob", 0).respond(TASK.test.items, context)
    alone = context.answer(0, TASK.test.items)
    assert [r.text for r in said] == [r.text for r in alone]
    assert all(dict(r.notes)["decisions"] == 0 for r in said)


def halts(text):
    """A draft that stopped at the first character of the next word."""
    return Response(text=text, finish="length")


def ends(text):
    """A draft that ends with an end token."""
    return Response(text=text, finish="stop")


def respond(script, logprob=testing.scripted.unscripted, **settings):
    """The answer to one item, where everybody drafts in turn what the script says."""
    said = iter(script)

    def answer(name, request):
        member, prefix, reply = next(said)
        assert (name, request.prefix) == (member, prefix)
        return reply

    bench = testing.workbench(
        testing.dummy_pool(2),
        TASK.dev,
        engine=testing.ScriptedEngine(answer, logprob),
        sampling=Sampling(max_new_tokens=60),
    )
    settings = {"decision_proportion": 100, "patch_size": 8, **settings}
    system = make_method("api_mentor_collab", settings).fit(bench)
    (response,) = system.respond(TASK.test.items[:1], bench)
    assert next(said, None) is None
    return response


def test_agreement_then_two_choices_then_an_end():
    one, two = "dummy:0", "dummy:1"
    script = [
        (one, "", halts("It ")),
        (two, "", halts("It ")),
        (one, "It", halts(" is ")),
        (two, "It", halts(" was ")),
        (one, "It", " is the 5th"),
        (two, "It", " was 4 or more"),
        (one, "It was 4", ends(".")),
        (two, "It was 4", halts(" or ")),
        (one, "It was 4", ends(".")),
        (two, "It was 4", " or 5 or 6"),
    ]
    probes = []

    def logprob(name, request, label):
        probes.append((name, request.prefix))
        return {"A": -1.0, "B": -0.5 if len(probes) <= 2 else -2.0}[label]

    response = respond(script, logprob, patch_size=6)
    assert response.text == "It was 4."
    assert response.finish == "stop"
    assert probes[::2] == [
        (one, "It" + prompts.continue_with(" is th", " was 4")),
        (one, "It was 4" + prompts.continue_with(".", " or 5 ")),
    ]
    assert [(t.speaker, t.role, t.text) for t in response.transcript[1:]] == [
        (one, "answer", "It"),
        (one, "option A", " is th"),
        (two, "option B", " was 4"),
        (one, "choose", "B"),
        (two, "answer", " was 4"),
        (one, "option A", "."),
        (two, "option B", " or 5 "),
        (one, "choose", "A"),
        (one, "answer", "."),
    ]
    assert dict(response.notes) == {
        "decisions": 3,
        "decision_share": 1.0,
        "agreement": 1 / 3,
        "mentor_chosen": 1,
        "mentor_words": 2,
    }


def test_the_generator_may_choose_by_its_next_token():
    one, two = "dummy:0", "dummy:1"
    probe = prompts.continue_with("no", "so")
    script = [
        (one, "", halts("no ")),
        (two, "", halts("so ")),
        (one, "", "no"),
        (two, "", "so"),
        (one, probe, "B"),
        (one, "so", ends(" it ends")),
    ]
    # One comparison only: the second word is not drawn
    chances = iter([0.0] + [1.0] * 100)
    chance = type("Chance", (), {"random": lambda _: next(chances)})()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Floor, "random", lambda *_: chance)
        response = respond(script, verifier_decision="generate", patch_size=2)
    assert response.text == "so it ends"
    assert dict(response.notes)["decision_share"] == 1 / 3


@pytest.mark.parametrize("limit", [0, 1, 3])
@pytest.mark.parametrize("text", ["| --- | --- | --- |", "0 0 0 0", "} } } } }", "ha ha ha ha"])
def test_words_may_repeat(text, limit):
    script = [("dummy:0", "", ends(text))]
    response = respond(script, decision_proportion=0, max_repeats=limit)
    assert (response.text, response.finish) == (text, "stop")


@pytest.mark.parametrize("text", ["| --- | --- | --- ", "0 0 0 0 "])
def test_words_on_which_both_agree_may_repeat(text):
    script, written = [], ""
    for word in text.split():
        reply = halts(f"{' ' if written else ''}{word} ")
        script += [("dummy:0", written, reply), ("dummy:1", written, reply)]
        written += reply.text.rstrip()
    script += [("dummy:0", written, ends(""))]
    response = respond(script, max_repeats=2)
    assert (response.text, response.finish) == (text.strip(), "stop")


def repeated_choices(times):
    script, written = [], ""
    for _ in range(times):
        script += [("dummy:0", written, halts(" no ")), ("dummy:1", written, halts(" ha "))]
        script += [("dummy:0", written, " no"), ("dummy:1", written, " ha")]
        written += " ha"
    return script, written


def prefers_b(name, request, label):
    return {"A": -2.0, "B": -1.0}[label]


def test_a_continuation_chosen_again_and_again_ends_an_answer_where_asked_for():
    script, written = repeated_choices(3)
    response = respond(script, prefers_b, patch_size=3, max_repeats=3)
    assert (response.text, response.finish) == (written, "stop")


def test_by_default_no_repetition_ends_an_answer():
    script, written = repeated_choices(20)
    response = respond(script, prefers_b, patch_size=3)
    assert (response.text, response.finish) == (written, "length")


def test_an_empty_step_ends_an_answer():
    script = [("dummy:0", "", halts("x")), ("dummy:1", "", halts("y"))]
    response = respond(script)
    assert (response.text, response.finish) == ("", "stop")


@pytest.mark.parametrize(("given", "share"), [(25, 0.25), (0.25, 0.25), (1, 1.0), (1.5, 0.015)])
def test_small_proportions_are_fractions(given, share):
    system = make_method("api_mentor_collab", {"decision_proportion": given}).fit(None)
    assert system.share == pytest.approx(share)


def test_a_trained_verifier_is_refused_by_name():
    with pytest.raises(ValueError, match=r"mode is 'train'.*mode='free'"):
        make_method("api_mentor_collab", {"mode": "train"})


def test_a_config_of_the_reference_is_read():
    record = {
        "method": "api_mentor_collab",
        "task": "gsm8k",
        "task_type": "exact_match",
        "gpu_ids": [0, 1],
        "model_names": ["a", "b"],
        "hyperparameters": {
            "decision_proportion": 25,
            "patch_size": 16,
            "mode": "free",
            "task": "General",
            "mlp_threshold": 0.5,
            "max_response_length": 64,
        },
    }
    config = RunConfig.from_record(record)
    assert config.task == "gsm8k"
    make_method("api_mentor_collab", dict(config.hyperparameters))
