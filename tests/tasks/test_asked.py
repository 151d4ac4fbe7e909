"""Options that stand in the text of a question."""

import hypothesis
import hypothesis.strategies as st
import pytest

from moco_jax.tasks.asked import split_options
from moco_jax.tasks.templates import LETTERS, option_lines


@pytest.mark.parametrize(
    "text",
    [
        "Which?\nA) red\nB) green",
        "Which?\nA. red\nB. green",
        "Which?\n(A) red\n(B) green\n",
        "Which?\n\n[A] red\n\n[B] green",
        "Which?\n  a) red\n  b) green",
        "Which?\nA: red\nB: green",
        "Which?\n- A) red\n- B) green",
        "Which?\n**A.** red\n**B.** green",
        "Which? (A) red (B) green",
        "Which? A) red B) green",
    ],
)
def test_options_are_read_in_every_spelling(text):
    assert split_options(text) == ("Which?", ("red", "green"))


@pytest.mark.parametrize(
    "text",
    ["What is 2 + 3?", "A. Smith wrote it. Who?", "Which is it, A or B?", "B) red\nC) green", ""],
)
def test_a_question_without_options_stays_whole(text):
    assert split_options(text) == (text, ())


def test_an_option_goes_on_until_the_next_letter_and_what_follows_the_last_is_the_question_s():
    text = "Which?\nA) red\nas a rose\nB) green\n\nThink first."
    assert split_options(text) == ("Which?\nThink first.", ("red as a rose", "green"))


def test_the_last_list_counts():
    text = "Compare:\nA) one\nB) two\nC) three\nWhich?\nA) red\nB) green"
    question, choices = split_options(text)
    assert choices == ("red", "green")
    assert question.startswith("Compare:\nA) one") and question.endswith("Which?")


words = st.text("abc de", min_size=1).map(str.strip).filter(bool)


@hypothesis.given(st.lists(words, min_size=2, max_size=len(LETTERS)))
def test_options_as_tasks_write_them_are_read_back(choices):
    found = split_options(f"Which one?\n{option_lines(choices)}")
    assert found == ("Which one?", tuple(choices))
