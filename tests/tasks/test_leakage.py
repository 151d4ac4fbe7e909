"""Test questions met before: in dev, and in what a method trains on."""

from hypothesis import given
from hypothesis import strategies as st

from moco_jax.tasks import Item, indices_in_texts, leaked_indices, load_task
from moco_jax.tasks.leakage import distinct_questions


def item(question, choices=()):
    lines = "\n".join(f"{letter}) {text}" for letter, text in zip("ABC", choices, strict=False))
    text = f"{question}\n{lines}" if choices else question
    return Item("test/0", text, text, tuple(choices), kind="exact_match")


def test_the_leak_of_mixeval_is_counted(shared_dir):
    task = load_task("mixeval", data_dir=shared_dir / "data")
    leaked = leaked_indices(task)
    assert len(leaked) == 129
    assert distinct_questions(task.test.items[index] for index in leaked) == 119


def test_a_question_is_found_whole_inside_training_texts():
    items = [
        item("What is 3 + 4?"),
        item("What is  the CAPITAL of France?", ("Paris", "Rome")),
        item("Name the longest river that flows through more than nine capital cities."),
        item("What is 3 + 4? And why?"),
        item(""),
    ]
    texts = [
        "Q: what is\n3 + 4? A: 7",
        "name the longest river that flows through more than nine towns",
        "please say: what is the capital of france? and be brief",
    ]
    assert indices_in_texts(items, texts) == [0, 1]
    assert indices_in_texts(items, []) == []
    whole = "Name the longest river that flows through more than nine capital cities."
    assert indices_in_texts(items, (text for text in [whole])) == [2]


WORDS = st.lists(st.sampled_from("abc"), min_size=1, max_size=12).map(tuple)


@given(st.lists(WORDS, max_size=4), st.lists(WORDS, max_size=3))
def test_it_agrees_with_looking_at_every_place(questions, texts):
    items = [item(" ".join(words)) for words in questions]
    slow = [
        index
        for index, words in enumerate(questions)
        if any(f" {' '.join(words)} " in f" {' '.join(text)} " for text in texts)
    ]
    assert indices_in_texts(items, [" ".join(text) for text in texts]) == slow
