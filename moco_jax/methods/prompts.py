"""The words in which members speak to each other: one function per role.

Every protocol prompt of the library is written here, so that a reader can compare them, a training
set can cover them, and a method file holds only its algorithm. `question` is an item's full prompt
(with its answer format) unless said otherwise; answers are shown in full or cut by `clip`.
"""

from collections.abc import Sequence


def clip(text: str, characters: int | None) -> str:
    """Cuts `text` to at most `characters`, with a visible ellipsis; None keeps it whole."""
    if characters is None or len(text) <= characters:
        return text
    return text[:characters].rstrip() + " [...]"


def without_middle(text: str, characters: int) -> str:
    """Cuts all but `characters` out of the middle of `text`, visibly: conclusions stand last."""
    if len(text) <= characters:
        return text
    end = characters // 2
    return f"{text[: characters - end].rstrip()} [...] {text[len(text) - end :].lstrip()}"


def left_out(count: int) -> str:
    """The line that stands for quoted texts there was no room for."""
    return f"[{count} left out]"


def bullets(texts: Sequence[str]) -> str:
    """One line per text, each behind a dash."""
    return "\n".join(f"- {text.strip()}" for text in texts)


def numbered(texts: Sequence[str]) -> str:
    """One line per text, numbered from 1."""
    return "\n".join(f"{number}. {text.strip()}" for number, text in enumerate(texts, 1))


def _section(title: str, texts: Sequence[str]) -> str:
    """Texts below a title; nothing where there are none, or only empty ones."""
    said = [text for text in texts if text.strip()]
    return f"{title}\n{bullets(said)}\n\n" if said else ""


def refine(question: str, own: str, others: Sequence[str]) -> str:
    """Asks for a better answer after reading the other members' answers (arXiv 2305.14325)."""
    return (
        f"{question}\n\n{_section('Your answer:', [own])}{_section('Other answers:', others)}"
        "Give your best answer to the question."
    )


def summarise(question: str, answers: Sequence[str]) -> str:
    """Asks for the final answer to a question that several members have answered."""
    return f"{question}\n\nAnswers:\n{bullets(answers)}\n\nGive the final answer to the question."


def consult(question: str, answers: Sequence[str]) -> str:
    """Asks for an answer with the help of earlier ones, which may be wrong (arXiv 2502.04510)."""
    return (
        f"{question}\n\nAnswers:\n{bullets(answers)}\n\n"
        "Some may be wrong. Give your best answer to the question."
    )


def route(question: str, descriptions: Sequence[str]) -> str:
    """Asks which of several described models should answer; the reply is one number.

    Args:
        question: the bare question, without its answer format.
        descriptions: one per member, in pool order; member `i` is number `i + 1`.
    """
    return (
        f"Question:\n{question}\n\nModels:\n{numbered(descriptions)}\n\n"
        "Which model should answer? Reply with one number."
    )


UNCONFIDENT = "unconfident"


def just_ask(question: str) -> str:
    """Asks for an answer, or for the word `unconfident` where the member is not sure."""
    return f"{question}\n\nIf you are not sure, reply with the word {UNCONFIDENT}."


def critique(question: str, answer: str) -> str:
    """Asks for a judgement of one answer: right, or what is wrong with it."""
    return (
        f"{question}\n\nAn answer:\n{bullets([answer])}\n\n"
        "Is this answer right? If not, say what is wrong."
    )


def continue_with(first: str, second: str) -> str:
    """Goes behind a text in the making, for its writer to choose how it goes on: A or B next."""
    return f"\n\nThe text goes on with A or B.\nA: {first.strip()}\nB: {second.strip()}\nBetter:\n"


def choose(question: str, first: str, second: str) -> str:
    """Asks which of two answers is better; the reply is A or B."""
    return (
        f"{question}\n\nAnswer A:\n{bullets([first])}\n\nAnswer B:\n{bullets([second])}\n\n"
        "Which answer is better? Reply with A or B."
    )


def condense(question: str, text: str) -> str:
    """Asks for a shorter version of a text that is about a question."""
    return f"{question}\n\nA text:\n{bullets([text])}\n\nSum up the text in one sentence."


def revise(question: str, own: str, remarks: Sequence[str]) -> str:
    """Asks for a better answer after reading what others say about it (arXiv 2402.00367)."""
    return (
        f"{question}\n\n{_section('Your answer:', [own])}{_section('Remarks:', remarks)}"
        "Give your best answer to the question."
    )


def judge_remarks(question: str, answer: str, remarks: Sequence[str]) -> str:
    """Asks whether an answer is right, given what others say about it; the reply is yes or no."""
    return (
        f"{question}\n\nAn answer:\n{bullets([answer])}\n\n{_section('Remarks:', remarks)}"
        "Is this answer right? Reply with yes or no."
    )


def mix(question: str, answers: Sequence[str]) -> str:
    """Asks for one answer made of several models' (arXiv 2406.04692); the question stands last."""
    return (
        "Several models answered the question below; some may be wrong or one-sided. Do not copy "
        "them: weigh them and give one better, clear answer.\n\n"
        f"Answers:\n{numbered(answers)}\n\nQuestion: {question}"
    )


def fuse(question: str, answers: Sequence[str]) -> str:
    """Asks for one answer made of ranked ones, the best first (arXiv 2306.02561)."""
    return (
        f"{question}\n\nAnswers, the best first:\n{numbered(answers)}\n\n"
        "Make one answer of them: keep what is right, leave out what is wrong."
    )


def write_card(question: str, need: str = "") -> str:
    """Asks for background knowledge, not for an answer (arXiv 2110.08387).

    Args:
        question: the bare question, without its answer format.
        need: what somebody wants to know to answer it; "" leaves that open.
    """
    wanted = f"Needed:\n{need.strip()}\n\n" if need else ""
    return (
        f"Question:\n{question}\n\n{wanted}"
        "Write down facts that help to answer it. Do not answer it."
    )


NOTHING = "none"


def ask_need(question: str) -> str:
    """Asks what a member would have to know to answer; `none` if it needs nothing.

    Args:
        question: the bare question, without its answer format.
    """
    return (
        f"Question:\n{question}\n\n"
        f"What else do you need to know to answer it? If nothing, reply with {NOTHING}."
    )


def read_cards(question: str, cards: Sequence[str]) -> str:
    """Asks a question together with background knowledge (arXiv 2305.09955)."""
    return (
        f"{question}\n\nKnowledge:\n{bullets(cards)}\n\n"
        "Use what helps and give your best answer to the question."
    )


ANSWER_FORMATS = {
    "multiple_choice": "Answer with the letter.",
    "exact_match": "Put the final answer in \\boxed{}.",
    "f1_match": "Put the final answer in \\boxed{}.",
    "coding": "Answer with one ```python code block that holds the whole function.",
}
"""How an answer should be given, per kind of task that reads it by its form."""


def remind(text: str, kind: str) -> str:
    """A prompt that ends with how the answer should be given, where the kind of task has a say."""
    wanted = ANSWER_FORMATS.get(kind, "")
    return text if text.rstrip().endswith(wanted) else f"{text}\n\n{wanted}"


def next_speaker(question: str, parts: Sequence[tuple[int | None, str]], count: int) -> str:
    """Asks which model should write the next part of an answer; the reply is one number.

    Args:
        question: the item's prompt.
        parts: (number of the model, what it wrote) so far, in order; None for words of nobody.
        count: how many models there are, numbered from 0.
    """
    written = "".join(
        text if who is None else f"[model {who}]{text}[/model {who}]" for who, text in parts
    )
    return (
        f"{question}\n\nAnswer so far:\n{written}\n\n"
        f"Which model should write on, 0 to {count - 1}? Reply with one number."
    )


WAIT = "\nWait,"
"""Written behind an answer that should go on (arXiv 2501.19393)."""
CONCLUDE = "\nFinal answer:"
"""Written before the last part of an answer."""


FINISH = "FINISH"
FINAL = "FINAL:"
NO_ACTION = "(chose no action)"

ACTIONS = {
    "PLAN": ("outline how to answer", "Write a plan to answer the question. Do not answer it."),
    "WORK": ("do the next step", "Do the next step. Do no more than that."),
    "CHECK": ("see whether entries are right", "Check the entries: say by number which are right."),
    "MEND": ("correct an entry", "Say by number which entry is wrong and why, and correct it."),
    FINISH: ("give the final answer", f"Write {FINAL} and then the answer to the question."),
}
"""What can be done on a board (arXiv 2507.01701): a word to choose it, its meaning, its task."""


def choose_action() -> str:
    """Asks what should be done next on a board; the reply is one word."""
    lines = "\n".join(f"{word}: {meaning}" for word, (meaning, _) in ACTIONS.items())
    return f"What should be done next? Reply with one word:\n{lines}"


def act(action: str, kind: str) -> str:
    """Asks to carry out an action; to finish needs the format of the kind of task."""
    task = ACTIONS[action][1]
    return remind(task, kind) if action == FINISH else task


def board_entry(number: int, iteration: int, action: str, text: str) -> str:
    """One entry of a board."""
    return f"{number}. (round {iteration}, {action}) {text.strip()}"


def read_board(question: str, entries: Sequence[str], task: str) -> str:
    """Shows a board, which only grows, and what to do with it."""
    shown = "\n".join(entries) or "(empty)"
    return f"{question}\n\nBoard:\n{shown}\n\n{task}"


def conclusion(number: int, text: str) -> str:
    """One of the conclusions that a vote is about."""
    return f"Conclusion #{number}:\n{text}"


def vote_on_conclusions(question: str, conclusions: Sequence[str]) -> str:
    """Asks which conclusion is best; the reply names its number."""
    shown = "\n\n".join(conclusions)
    return f"{question}\n\n{shown}\n\nWhich conclusion is best? Reply with its number."
