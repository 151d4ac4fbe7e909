"""Knowledge cards: whole transcripts against hand-written ones, and which cards are read."""

import numpy as np
import pytest

from moco_jax import testing
from moco_jax.decoding.types import Usage
from moco_jax.method import NeedsError
from moco_jax.methods import HyperparameterError, make_method, prompts
from moco_jax.methods.text.knowledge_card import relevance
from moco_jax.pool import Pool

POOL = testing.dummy_pool(3)
TASK = testing.dummy_task("multiple_choice", 2)
ITEM = TASK.test.items[0]


def script(name, request):
    """dummy:1 is best on dev; everyone says its name and the purpose."""
    if request.purpose == "dev":
        return "A" if name == "dummy:1" else "none"
    return f"{name} {request.purpose}"


def run(answer=script, items=TASK.test.items[:1], pool=POOL, **settings):
    engine = testing.ScriptedEngine(answer)
    bench = testing.workbench(pool, TASK.dev, engine=engine)
    system = make_method("text_knowledge_card", settings).fit(bench)
    engine.calls.clear()
    engine.asked.clear()
    return system.respond(items, bench), engine


def turns(response):
    return [(turn.speaker, turn.role, turn.text) for turn in response.transcript]


WRITE = f"Question:\n{ITEM.question}\n\nWrite down facts that help to answer it. Do not answer it."


def read(*cards):
    """The answerer's prompt, written out."""
    lines = "\n".join(f"- {card}" for card in cards)
    return (
        f"{ITEM.prompt}\n\nKnowledge:\n{lines}\n\n"
        "Use what helps and give your best answer to the question."
    )


def test_all_write_and_the_best_answers():
    (response,), engine = run()
    cards = [f"dummy:{who} knowledge" for who in range(3)]
    wanted = []
    for who in range(3):
        wanted += [("user", "knowledge", WRITE), (f"dummy:{who}", "knowledge", cards[who])]
    wanted += [
        ("user", "answer with knowledge", read(*cards)),
        ("dummy:1", "answer with knowledge", "dummy:1 answer with knowledge"),
    ]
    assert turns(response) == wanted
    assert response.text == "dummy:1 answer with knowledge"
    assert response.notes == (("chosen", "dummy:1"), ("cards", ["dummy:0", "dummy:1", "dummy:2"]))
    assert engine.calls == [3, 1]
    asked = sum(len(text) for speaker, _, text in wanted if speaker == "user")
    written = sum(len(text) for speaker, _, text in wanted if speaker != "user")
    assert response.usage == Usage(asked, written, 4 + written)


def test_who_answers_may_be_kept_from_writing():
    (response,), engine = run(exclude_self=True)
    assert engine.calls == [2, 1]
    assert turns(response)[-2][2] == read("dummy:0 knowledge", "dummy:2 knowledge")
    assert [name for name, r in engine.asked if r.purpose == "knowledge"] == ["dummy:0", "dummy:2"]


def test_nobody_is_left_to_write_in_a_pool_of_one():
    with pytest.raises(NeedsError, match="exclude_self leaves nobody to write"):
        method = make_method("text_knowledge_card", {"exclude_self": True})
        testing.check(method, Pool([POOL[0]]), TASK)
    (response,), _ = run(pool=Pool([POOL[0]]))
    assert dict(response.notes)["cards"] == ["dummy:0"]


def test_blank_cards_are_not_read():
    def answer(name, request):
        blank = request.purpose == "knowledge" and name != "dummy:2"
        return "  " if blank else script(name, request)

    (response,), _ = run(answer)
    assert turns(response)[-2][2] == read("dummy:2 knowledge")
    (response,), _ = run(lambda name, request: "")
    assert turns(response)[-2] == ("user", "answer", ITEM.prompt)


CARDS = {
    "dummy:0": "Bread is baked.",
    "dummy:1": "red and green and blue are colours",
    "dummy:2": "green and blue",
}


def library(name, request):
    if request.purpose == "knowledge":
        return CARDS[name]
    if request.purpose == "brevity":
        return "short" if name == "dummy:1" else "not shorter than what it is to sum up"
    return script(name, request)


def test_the_most_relevant_cards_are_read_the_best_last():
    (response,), engine = run(library, selectors=["relevance"], max_cards=2)
    words = ITEM.question.lower()
    assert all(word in words for word in ("red", "green", "blue"))
    scores = relevance(ITEM.question, list(CARDS.values()))
    assert scores[0] == 0
    order = sorted([1, 2], key=lambda who: scores[who])
    assert turns(response)[-2][2] == read(*[CARDS[f"dummy:{who}"] for who in order])
    assert dict(response.notes)["cards"] == [f"dummy:{who}" for who in order]
    assert engine.calls == [3, 1]


def test_authors_sum_up_the_cards_that_are_read():
    (response,), engine = run(library, selectors=["relevance", "brevity"], max_cards=1)
    scores = relevance(ITEM.question, list(CARDS.values()))
    author = f"dummy:{int(np.argmax(scores))}"
    assert engine.calls == [3, 1, 1]
    assert turns(response)[-4] == (
        "user",
        "brevity",
        prompts.condense(ITEM.question, CARDS[author]),
    )
    card = "short" if author == "dummy:1" else CARDS[author]
    assert turns(response)[-2][2] == read(card)


def test_a_summary_that_is_longer_is_not_used():
    (response,), engine = run(library, selectors=["brevity"])
    assert engine.calls == [3, 3, 1]
    assert turns(response)[-2][2] == read(CARDS["dummy:0"], "short", CARDS["dummy:2"])


def test_relevance_is_a_cosine_of_weighted_words():
    query, texts = "a b b", ["a c", "b", "d d", ""]
    # Rows are the query and the texts, columns the words a, b, c, d
    counts = np.array([[1, 2, 0, 0], [1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 2], [0, 0, 0, 0]])
    held = (counts[1:] > 0).sum(0)
    vectors = counts * (np.log((1 + 4) / (1 + held)) + 1)
    norms = np.linalg.norm(vectors, axis=1)
    wanted = vectors[1:4] @ vectors[0] / (norms[1:4] * norms[0])
    np.testing.assert_allclose(relevance(query, texts), [*wanted, 0.0])


def test_relevance_ignores_case_and_common_words_weigh_less():
    assert relevance("a a", ["A!", "x"]) == pytest.approx([1.0, 0.0])
    assert relevance("", ["a"]) == [0.0]
    assert relevance("a", []) == []
    same, common = relevance("the cat", ["the cat", "the dog"])
    assert same == pytest.approx(1.0)
    assert common < relevance("the cat", ["a cat", "the dog"])[0]


@pytest.mark.parametrize("reply", ["None.", "none", " ", "NONE, thank you"])
def test_who_needs_nothing_is_told_nothing(reply):
    def answer(name, request):
        return reply if request.purpose == "need" else script(name, request)

    (response,), engine = run(answer, mode="top_down")
    assert engine.calls == [1, 1]
    assert turns(response) == [
        (
            "user",
            "need",
            f"Question:\n{ITEM.question}\n\n"
            "What else do you need to know to answer it? If nothing, reply with none.",
        ),
        ("dummy:1", "need", reply),
        ("user", "answer", ITEM.prompt),
        ("dummy:1", "answer", "dummy:1 answer"),
    ]
    assert dict(response.notes)["cards"] == []


def test_cards_are_about_what_is_needed():
    def answer(name, request):
        if request.purpose == "need":
            return "the colour of the sky" if request.item == "test/1" else "none"
        return script(name, request)

    responses, engine = run(answer, TASK.test.items, mode="top_down", exclude_self=True)
    assert engine.calls == [2, 2, 2]
    card = next(r for _, r in engine.asked if r.purpose == "knowledge")
    assert card.messages[0].content == (
        f"Question:\n{TASK.test.items[1].question}\n\nNeeded:\nthe colour of the sky\n\n"
        "Write down facts that help to answer it. Do not answer it."
    )
    assert [dict(response.notes)["cards"] for response in responses] == [
        [],
        ["dummy:0", "dummy:2"],
    ]
    assert [len(response.transcript) for response in responses] == [4, 8]


def test_cards_that_do_not_fit_are_dropped_where_asked_to():
    def answer(name, request):
        return name + "x" * 400 if request.purpose == "knowledge" else script(name, request)

    (response,), _ = run(answer, context_policy="oldest_first")
    long = [f"dummy:{who}" + "x" * 400 for who in range(3)]
    assert turns(response)[-2][2] == read("[1 left out]", *long[1:])
    assert dict(response.notes)["context"] == {"dropped": 1}


def test_an_unknown_selector_is_refused():
    with pytest.raises(HyperparameterError, match="selectors"):
        make_method("text_knowledge_card", {"selectors": ["factuality"]})
