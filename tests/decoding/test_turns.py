"""Turn-taking against texts generated alone, against hand-written protocols, and the store."""

import dataclasses

import numpy as np
import pytest

from moco_jax.decoding.combine import Choice, Combine
from moco_jax.decoding.engine import Engine
from moco_jax.decoding.floor import Draft, Protocol
from moco_jax.decoding.loop import LENGTH
from moco_jax.decoding.pieces import pieces
from moco_jax.decoding.session import Session
from moco_jax.decoding.types import Request, Sampling
from moco_jax.decoding.work import Stream
from moco_jax.pool import Pool
from moco_jax.runs.ledger import Ledger
from moco_jax.runs.planning.engine import Memo
from moco_jax.system import Context
from moco_jax.testing import dummy_member, dummy_tokenizer
from moco_jax.testing.members import END, ROLES, TEMPLATE

GREEDY = Sampling(max_new_tokens=12, temperature=0.0)
DRAWN = Sampling(max_new_tokens=12, temperature=1.0, top_p=1.0)


def ascii_tokenizer(merges=()):
    """One token per printable character, so that all that is said is text; and some of two."""
    import tokenizers
    from tokenizers import decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = [chr(code) for code in range(33, 127)] + ["\u0120", "\u010a"]
    pairs = [(word[0], word[1]) for word in merges]
    words = [END, *ROLES, *merges, *letters]
    vocab = {word: index for index, word in enumerate(words)}
    core = tokenizers.Tokenizer(models.BPE(vocab=vocab, merges=pairs))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token=END,
        additional_special_tokens=list(ROLES),
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer


PLAIN = ascii_tokenizer()
MERGING = ascii_tokenizer([a + b for a in "ABC12" for b in "ABC12"])
POOL = Pool(
    [
        dummy_member("a", 0, tokenizer=PLAIN),
        dummy_member("b", 1, tokenizer=PLAIN),
        dummy_member("odd", 9, tokenizer=MERGING, hidden_size=24),
    ]
)
REQUESTS = [
    Request.user(text, item=str(number))
    for number, text in enumerate(["Which?", "Say it now: " * 12, "zz", "one two three", "?", "!"])
]


def context_for(sampling, width=4, **settings):
    return Context(POOL, Engine(seed=3, width=width, **settings), sampling, 3)


def alone(floor):
    """The first member writes, three tokens at a time."""
    while floor.open:
        floor.say(0, floor.open, floor.draft(0, floor.open, 3))


def in_turn(floor):
    """Members take patches of four tokens in order; a draft is made in vain between them."""
    turn = 0
    while floor.open and turn < 8:
        who, rows = turn % len(floor.members), floor.open
        floor.draft((who + 1) % len(floor.members), rows, 5)
        drafts = floor.draft(who, rows, 4)
        floor.say(who, rows, [draft.first(3) for draft in drafts], ends=False)
        turn += 1


ALONE, IN_TURN = Protocol(alone, "alone"), Protocol(in_turn, "in turn")


def test_one_member_alone_writes_what_it_always_writes():
    context = context_for(GREEDY)
    turns = context.take_turns([0], REQUESTS, ALONE)
    for ours, plain in zip(turns, context.ask([(0, r) for r in REQUESTS]), strict=True):
        assert (ours.text, ours.finish) == (plain.text, plain.finish)
        assert ours.usage.new_tokens == plain.usage.new_tokens
        assert ours.usage.prompt_tokens + ours.usage.new_tokens >= plain.usage.prompt_tokens


def test_patches_are_what_each_member_writes_after_the_text_so_far():
    context = context_for(GREEDY)
    for response, request in zip(
        context.take_turns([0, 1], REQUESTS, IN_TURN), REQUESTS, strict=True
    ):
        text = ""
        for number, turn in enumerate(response.transcript[1:]):
            who = POOL.names.index(turn.speaker)
            asked = dataclasses.replace(request, prefix=text)
            short = dataclasses.replace(GREEDY, max_new_tokens=4)
            (plain,) = Engine().ask([POOL[who]], [asked], short)
            whole = plain.text
            assert whole.startswith(turn.text), number
            assert turn.text
            text += turn.text
        assert text == response.text


@pytest.mark.parametrize("sampling", [GREEDY, DRAWN])
def test_neither_order_nor_company_nor_resuming_change_a_byte(sampling):
    whole = context_for(sampling).take_turns([0, 2], REQUESTS, IN_TURN)
    order = [4, 1, 5, 0, 3, 2]
    other = context_for(sampling).take_turns([0, 2], [REQUESTS[i] for i in order], IN_TURN)
    assert other == [whole[index] for index in order]
    store = Memo()
    part = context_for(sampling, store=store).take_turns([0, 2], REQUESTS[1:3], IN_TURN)
    assert part == whole[1:3]
    ledger = Ledger()
    with ledger.phase("respond"):
        resumed = context_for(sampling, store=store, meter=ledger)
        assert resumed.take_turns([0, 2], REQUESTS, IN_TURN) == whole
    total = ledger.total("respond")
    assert total.attributed.new_tokens == sum(r.usage.new_tokens for r in whole)
    assert total.attributed.prompt_tokens == sum(r.usage.prompt_tokens for r in whole)
    assert sum(line["attributed"]["requests"] for line in ledger.to_json()["lines"]) == 12
    cached = sum(r.usage.new_tokens for r in part)
    assert total.spent.new_tokens == total.attributed.new_tokens - cached


def test_rows_that_outgrow_their_cache_go_on():
    long = dataclasses.replace(GREEDY, max_new_tokens=200)

    def play(floor):
        while floor.open:
            rows = floor.open
            floor.say(0, rows, floor.draft(0, rows, 50), ends=False)

    found = context_for(long).take_turns([0], REQUESTS, Protocol(play, "long"))
    assert [response.finish for response in found] == ["length"] * len(REQUESTS)
    alone = [context_for(long).take_turns([0], [r], Protocol(play, "long"))[0] for r in REQUESTS]
    assert found == alone


def test_scores_are_those_of_the_engine():
    found = {}

    def play(floor):
        rows = floor.open
        floor.say(0, rows, floor.draft(0, rows, 2), ends=False)
        for who in (0, 1):
            for row, values in zip(rows, floor.score(who, rows, ["A", "Bx"]), strict=True):
                request = floor.lines[row].request
                found[request.item, who] = floor.lines[row].text, values
        read = [dataclasses.replace(floor.lines[row].request, prefix="Hm") for row in rows]
        for row, values in zip(rows, floor.score(1, rows, ["A"], read=read), strict=True):
            found[floor.lines[row].request.item, "read"] = "Hm", values
        floor.finish(rows)

    context = context_for(GREEDY)
    context.take_turns([0, 2], REQUESTS, Protocol(play, "scores"))
    for request in REQUESTS:
        for who, labels in ((0, ["A", "Bx"]), (1, ["A", "Bx"]), ("read", ["A"])):
            text, values = found[request.item, who]
            member = POOL[0] if who == 0 else POOL[2]
            asked = dataclasses.replace(request, prefix=text)
            (plain,) = Engine().choose([member], [asked], labels)
            ours = [sum(logprobs) for logprobs in values]
            np.testing.assert_allclose(ours, plain.logprobs, rtol=1e-5, atol=4e-5)


def test_a_policy_may_halt_a_draft_and_its_last_token_be_taken_back():
    import jax

    def step(theta, carry, keys, logits, aux):
        sure = jax.nn.softmax(logits[0]).max(-1)
        return carry, Choice(logits=logits[0], stop=sure < theta)

    def play(floor):
        rows = floor.open
        gammas = np.array([floor.lines[row].theta for row in rows], np.float32)
        drafts = floor.draft(0, rows, 12, combine=Combine(step, name="sure"), theta=gammas)
        for row, draft in zip(rows, drafts, strict=True):
            probs = np.exp(draft.logprobs)
            floor.lines[row].notes["sure"] = bool((probs[:-1] >= gammas[rows.index(row)]).all())
            assert draft.finish != "halt" or probs[-1] < gammas[rows.index(row)]
            kept = draft.first(len(draft.tokens) - 1)
            assert kept.text == "".join(draft.pieces[: len(kept.tokens)])
        floor.say(0, rows, [draft.first(len(draft.tokens) - 1) for draft in drafts])
        floor.finish(floor.open)

    thetas = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    found = context_for(GREEDY).take_turns([0], REQUESTS, Protocol(play, "halt"), thetas)
    assert all(dict(response.notes)["sure"] for response in found)
    assert found[-1].text == ""


def test_stop_strings_words_of_the_method_and_the_end():
    def play(floor):
        rows = floor.open
        floor.add(rows, ["one STOP two" if row % 2 else "one" for row in rows], "host")
        floor.finish(floor.open, "length")
        with pytest.raises(ValueError, match="row 0 is finished"):
            floor.add([0], ["x"])

    sampling = dataclasses.replace(GREEDY, stop=("STOP",))
    first, second = context_for(sampling).take_turns([0], REQUESTS[:2], Protocol(play, "stop"))
    texts = {(first.text, first.finish), (second.text, second.finish)}
    assert texts == {("one", "length"), ("one ", "stop")}
    assert {turn.speaker for turn in second.transcript} == {"user", "host"}


def test_draws_of_a_row_do_not_depend_on_its_company():
    def play(floor):
        for row in floor.open:
            floor.lines[row].notes["drawn"] = int(floor.random(row, "x").integers(1 << 30))
        floor.finish(floor.open)

    protocol = Protocol(play, "draws")
    found = context_for(GREEDY).take_turns([0], REQUESTS, protocol)
    again = context_for(GREEDY).take_turns([0], REQUESTS[2:4], protocol)
    assert [r.notes for r in again] == [r.notes for r in found[2:4]]
    assert len({r.notes for r in found}) == len(found)


def test_pieces_add_up_and_wait_for_whole_characters():
    tokenizer = dummy_tokenizer()
    tokens = tokenizer.encode("a é🙂 b", add_special_tokens=False)
    parts, rest = pieces(tokenizer, [5, 6], tokens)
    assert ("".join(parts), rest, len(parts)) == ("a é🙂 b", "", len(tokens))
    parts, rest = pieces(tokenizer, [], tokens[:-4])
    assert ("".join(parts), rest) == ("a é", "\ufffd")
    draft = Draft(parts, tuple(tokens[:-4]), (0.0,) * len(parts))
    assert len(draft.first(3).tokens) == 2


def test_members_without_a_turn_are_charged_nothing():
    charges = []
    context = context_for(GREEDY, meter=charges.append)
    found = context.take_turns([1, 0, 2], REQUESTS[:2], ALONE)
    assert {charge.member for charge in charges} == {"b"}
    assert [charge.usage for charge in charges] == [response.usage for response in found]
    assert all(charge.seconds > 0 for charge in charges)


def test_spaces_before_words_are_kept_where_a_text_goes_on():
    import tokenizers
    from tokenizers import decoders, models

    words = {"\u2581one": 0, "\u2581two": 1, "s": 2, "<|x|>": 3}
    core = tokenizers.Tokenizer(models.WordLevel(words, unk_token="s"))
    core.decoder = decoders.Metaspace()
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<|x|>")
    assert pieces(tokenizer, [], [0, 2, 1]) == (("one", "s", " two"), "")
    assert pieces(tokenizer, [3, 0], [1, 2, 3, 0]) == ((" two", "s", "", " one"), "")


def special(*names):
    tokenizer = ascii_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": [*ROLES, *names]})
    return tokenizer


@pytest.mark.parametrize(
    ("written", "stop", "wanted"),
    [
        ("ok<|user|>XYZ", ("<|user|>",), ("ok", "", "stop")),
        ("ok<|user|>XYZ", ("<|user|>X",), ("ok", "", "stop")),
        ("ok<|user|>XYZ", ("<|user|>Q",), ("okXYZ", "", "length")),
        ("ok<|user|>XYZ", (), ("okXYZ", "", "length")),
        ("<think>so</think>XYZ", (), ("XYZ", "so", "length")),
        ("<think>so</think>X<|user|>Z", ("<|user|>", "s"), ("X", "so", "stop")),
    ],
)
@pytest.mark.parametrize("patch", [1, 3, 20])
def test_special_tokens_stop_and_part_texts_on_the_floor(monkeypatch, written, stop, wanted, patch):
    tokenizer = special("<think>", "</think>")
    member = dummy_member("says", 0, tokenizer=tokenizer)
    wholes = tokenizer.encode(written, add_special_tokens=False)

    def generate(self, counts, sampling, **settings):
        start = len(member.template.render(REQUESTS[0].messages))
        done = len(self.texts[0]) - start
        said = np.array(wholes[done : done + counts[0]], np.int32)
        self.texts[0] = np.concatenate([self.texts[0], said])
        return [Stream(said, np.zeros(len(said), np.float32), said, LENGTH)]

    def play(floor):
        while floor.open:
            floor.say(0, floor.open, floor.draft(0, floor.open, patch))

    monkeypatch.setattr(Session, "generate", generate)
    sampling = Sampling(max_new_tokens=len(wholes), temperature=0.0, stop=stop)
    (response,) = Engine(width=1).take_turns(
        [member], REQUESTS[:1], sampling, Protocol(play, "patches")
    )
    assert (response.text, response.reasoning, response.finish) == wanted
