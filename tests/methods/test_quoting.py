"""Quotes within a context: what stays, what goes, and that a reader of the response can see it."""

import hypothesis
import hypothesis.strategies as st
import pytest

from moco_jax import testing
from moco_jax.decoding.engine import Engine
from moco_jax.decoding.types import Sampling
from moco_jax.methods import prompts, quoting
from moco_jax.pool import Pool
from moco_jax.system import Context

ITEM = testing.dummy_task("multiple_choice", 1).test.items[0]
NEW = 20
# One token per byte; a user turn and the header of the answer take three more
FRAME = 3


def length(*quotes):
    """Tokens of a prompt with these quotes."""
    return len(prompts.summarise(ITEM.prompt, quotes).encode()) + FRAME


def setting(most, answer="short"):
    pool = Pool([testing.dummy_member("reader", 0, max_positions=most)])
    said = answer if callable(answer) else lambda name, request: answer
    engine = testing.ScriptedEngine(said)
    return Context(pool, engine, Sampling(max_new_tokens=NEW), 0), engine


def inquiry(*quotes):
    def write(texts):
        return prompts.summarise(ITEM.prompt, texts)

    return quoting.Inquiry(0, ITEM, "sum", write, quotes)


def asked(engine):
    return engine.asked[-1][1].messages[-1].content


@pytest.mark.parametrize("policy", quoting.POLICIES)
def test_what_fits_is_left_alone(policy):
    texts = ["x" * 40, "y" * 50]
    context, engine = setting(length(*texts) + NEW)
    (response,) = quoting.ask(context, [inquiry(*texts)], policy)
    assert asked(engine) == prompts.summarise(ITEM.prompt, texts)
    assert response.notes == ()
    assert len(engine.asked) == 1
    assert quoting.context_note([response]) == ()


def test_refuse_leaves_what_does_not_fit_too():
    texts = ["x" * 400]
    context, engine = setting(300)
    (response,) = quoting.ask(context, [inquiry(*texts)], "refuse")
    assert asked(engine) == prompts.summarise(ITEM.prompt, texts)
    assert response.notes == ()


def test_the_oldest_go_first():
    texts = ["a" * 40, "b" * 40, "c" * 40]
    context, engine = setting(length("[2 left out]", texts[2]) + NEW)
    (response,) = quoting.ask(context, [inquiry(*texts)], "oldest_first")
    assert asked(engine) == prompts.summarise(ITEM.prompt, ["[2 left out]", texts[2]])
    assert response.notes == (("context", {"dropped": 2}),)


def test_the_last_stays_even_where_it_does_not_fit():
    context, engine = setting(300)
    quoting.ask(context, [inquiry("a", "b" * 400)], "oldest_first")
    assert asked(engine) == prompts.summarise(ITEM.prompt, ["[1 left out]", "b" * 400])


def test_long_quotes_are_cut_evenly_in_the_middle():
    short, first, second = "short", "abcdefghij" * 9, "0123456789" * 12
    # Room for five characters of each half, and not for one more
    cut = [short, "abcde [...] fghij", "01234 [...] 56789"]
    for spare in (0, 1):
        context, engine = setting(length(*cut) + NEW + spare)
        (response,) = quoting.ask(context, [inquiry(short, first, second)], "shorten")
        assert asked(engine) == prompts.summarise(ITEM.prompt, cut)
        assert response.notes == (("context", {"shortened": 2}),)


def test_all_of_a_quote_may_go_but_nothing_of_the_question():
    context, engine = setting(length(" [...] "))
    quoting.ask(context, [inquiry("a" * 300)], "shorten")
    assert asked(engine) == prompts.summarise(ITEM.prompt, [" [...] "])


def test_an_answer_gets_no_more_than_half_of_the_context():
    text = "a" * 200
    context, engine = setting(2 * length(text) + 1)
    quoting.ask(context, [inquiry(text)], "shorten", Sampling(max_new_tokens=10_000))
    assert asked(engine) == prompts.summarise(ITEM.prompt, [text])


def test_the_reader_sums_up_what_is_too_long():
    short, long = "short", "long " * 40
    context, engine = setting(length(short, long) - 1 + NEW, "brief")
    (response,) = quoting.ask(context, [inquiry(short, long)], "summarise")
    condense = prompts.condense(ITEM.prompt, long)
    final = prompts.summarise(ITEM.prompt, [short, "brief"])
    assert [(turn.speaker, turn.role, turn.text) for turn in response.transcript] == [
        ("user", "condense for sum", condense),
        ("reader", "condense for sum", "brief"),
        ("user", "sum", final),
        ("reader", "sum", "brief"),
    ]
    assert response.notes == (("context", {"summarised": 1}),)
    assert response.usage.prompt_tokens == len(condense) + len(final)
    assert engine.calls == [1, 1]


@pytest.mark.parametrize("summary", ["", "z" * 500])
def test_a_summary_that_is_none_is_cut_instead(summary):
    long = "long " * 40
    context, engine = setting(length(long) - 1 + NEW, summary)
    (response,) = quoting.ask(context, [inquiry(long)], "summarise")
    assert length(long) - 10 < len(asked(engine).encode()) + FRAME < length(long)
    assert "[...]" in asked(engine)
    assert response.notes == (("context", {"summarised": 1, "shortened": 1}),)


def test_what_is_too_long_even_to_be_summed_up_is_cut_for_it():
    context, engine = setting(300, "brief")
    quoting.ask(context, [inquiry("x" * 900)], "summarise")
    request = engine.asked[0][1]
    room = 300 - NEW
    assert "x [...] x" in request.messages[0].content
    assert room - 2 <= len(request.messages[0].content) + FRAME <= room


def test_inquiries_are_fitted_one_by_one():
    texts = ["x" * 400, "y"]
    context, engine = setting(300, lambda name, request: request.purpose)
    responses = quoting.ask(context, [inquiry(text) for text in texts], "summarise")
    assert engine.calls == [1, 2]
    assert [bool(response.notes) for response in responses] == [True, False]


def test_a_note_counts_over_all_prompts():
    context, _ = setting(300)
    first, second = quoting.ask(context, [inquiry("x" * 400), inquiry("y" * 400)], "shorten")
    refused = second.replace(finish="over_length")
    (note,) = quoting.context_note([first, refused])
    assert note == ("context", {"shortened": 2, "refused": 1})


def test_a_real_engine_never_refuses_what_was_shortened():
    pool = Pool([testing.dummy_member("reader", 0, max_positions=300)])
    context = testing.workbench(pool, testing.dummy_task().dev)
    (whole,) = quoting.ask(context, [inquiry("é" * 400)], "refuse")
    assert whole.finish == "over_length"
    (short,) = quoting.ask(context, [inquiry("é" * 400)], "shorten")
    assert short.finish != "over_length"
    assert short.usage.prompt_tokens in (295, 296)


@hypothesis.given(
    st.lists(st.text("ab é\n", max_size=60), min_size=1, max_size=5), st.integers(150, 400)
)
@hypothesis.settings(deadline=None, max_examples=60)
def test_whatever_is_quoted_the_prompt_fits_or_no_more_can_go(texts, most):
    context, _ = setting(most)
    room = most - NEW
    for policy in ("oldest_first", "shorten"):
        (one,) = quoting.fit(context, [inquiry(*texts)], policy)
        text = one.request.messages[0].content
        assert text.startswith(ITEM.prompt)
        if len(text.encode()) + FRAME > room:
            least = {
                "oldest_first": [f"[{len(texts) - 1} left out]", texts[-1]][-len(texts) :],
                "shorten": [quote and " [...] " for quote in texts],
            }
            assert text == prompts.summarise(ITEM.prompt, least[policy])


def test_summaries_do_not_depend_on_the_order_of_inquiries():
    pool = Pool([testing.dummy_member("reader", 0, max_positions=300)])
    inquiries = [inquiry(letter * 400, "short") for letter in "xyz"]
    answers = []
    for order in ([0, 1, 2], [2, 0, 1]):
        context = Context(pool, Engine(width=4), testing.SHORT, 0)
        said = quoting.ask(context, [inquiries[place] for place in order], "summarise")
        answers.append(dict(zip(order, said, strict=True)))
    assert answers[0] == answers[1]
    assert all(dict(said.notes)["context"]["summarised"] == 1 for said in answers[0].values())
