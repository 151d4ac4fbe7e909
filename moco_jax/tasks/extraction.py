r"""Finding the final answer in free text. It sees no gold and takes linear time.

In this order, always on what stands after the thinking: the last non-empty `\boxed{}`, the last
`<answer>` tag, the last `#### 7`, the last answer marker (`Answer: 7`, `the answer is 7`,
`{"answer": "7"}`), a box that is not closed. Without any of them a short text is itself the answer.
"""

import re
from collections.abc import Iterator

from moco_jax.tasks import answer_words as words
from moco_jax.tasks.markup import boxes, clean, open_box, strip_thinking, tagged, unwrap

LONGEST = 2000  # characters of a marked answer that are looked at
LONGEST_BARE = 500  # characters of a text without any mark that still counts as an answer

MARKER = re.compile(
    rf"(?:{words.ANSWER})[*_\"'`]{{0,4}}(?:[ \t]to[ \t][^.:\n]{{1,100}}?)?[ \t]{{0,4}}"
    rf"(?:{words.IS}|(?:would|should|must|will)[ ]be\b|=|:|：)"
    r"[*_]{0,4}[ \t]{0,4}(?::[*_]{0,4})?"
    r"(?:(?:therefore|thus|then|simply|exactly|definitely|clearly|approximately|roughly)\b)?"
    r"|(?:उत्तर|উত্তর|جواب|정답|답)[ ](?=[\d$\\-])"
    rf"|^[#*_ \t]{{0,8}}(?:final[ \t]|correct[ \t])?answer[*_:]{{0,4}}[ \t]{{0,4}}(?=\r?\n)",
    re.IGNORECASE | re.MULTILINE,
)
HASHES = re.compile(r"(?:^|[ \t])#{4}[ \t]{0,4}(?=[^\s#])")
# What may stand between a marker and its value: blanks, and the opening of a display.
OPENING = re.compile(r"(?:\s|\\\[\s|\$\$\s|```\w{0,12}\n)*+")
# "The answer is not 5" and "I hope this answer is clear" state nothing.
NEGATED = re.compile(
    rf"\s{{0,4}}(?:(?:not|n't|{words.NOT_BEFORE})\b|(?:{words.NOT_TOUCHING})"
    r"|(?:clear|correct|right|helpful|wrong|incorrect)[.!]{0,3}[ \t]{0,4}(?:\n|\Z))"
)
REASON = re.compile(
    r",?[ \t](?:because|weil|parce que|puisque|porque|perché|потому что|ponieważ|omdat)\b"
    r"|, (?:since|which|so|da|denn|car|ya que|poiché|так как)\b"
    r"|[,，、]\s?(?:因为|因為|なぜなら|왜냐하면)"
)
# What ends a sentence behind the answer, in languages whose verb comes last.
FINAL_VERB = re.compile(r"(?:です|である|だ|입니다|이다|\s(?:है|ہے|است|হয়))[।.。]?\Z")
UNCLOSED = re.compile(r"\A\\box(?:ed)?[ \t]{0,4}\{?")
JSON_ANSWER = re.compile(
    r'"(?:final[_ ]?)?answer"\s{0,4}:\s{0,4}(?:"((?:[^"\\]|\\.)*+)"|([\w.+-]{1,40}))', re.IGNORECASE
)
# A dot ends the sentence after a longer word, a number or a bracket, not after initials or "St.".
SENTENCE = re.compile(
    r"(?:(?<=[^\W\d_]{4})|(?<=[\d)\]}*$]))[.!?][ \t]{1,4}(?=[A-ZÀ-ÞА-ЯΑ-Ω])|[。।](?=.)"
)


def extract_answer(text: str) -> str | None:
    """The final answer of an output without its wrapping; None where there is none."""
    text = strip_thinking(text)
    return next(filter(None, map(_bare, _candidates(text))), None)


def _bare(found: str) -> str:
    return clean(UNCLOSED.sub("", unwrap(clean(found)), count=1))


def _candidates(text: str) -> Iterator[str]:
    """Where the answer may stand, most binding first."""
    yield from boxes(text)
    yield set_apart(text) or ""
    yield _last_marked(text) or ""
    unclosed = open_box(text)
    if unclosed is not None:
        yield unclosed
    elif len(text.strip()) <= LONGEST_BARE:
        yield text


def set_apart(text: str) -> str | None:
    """The answer in the last `<answer>` tag, after `####` on the last line, or in a JSON field."""
    tag = tagged(text)
    if tag is not None:
        return tag
    last_line = text.rstrip().rsplit("\n", 1)[-1]
    hashes = [match.end() for match in HASHES.finditer(last_line)]
    if hashes:
        return last_line[hashes[-1] :]
    fields = list(JSON_ANSWER.finditer(text))
    return (fields[-1].group(1) or fields[-1].group(2)) if fields else None


def _last_marked(text: str) -> str | None:
    """The answer after the last marker that has one."""
    for end in reversed([match.end() for match in MARKER.finditer(text)]):
        if NEGATED.match(text, end):
            continue
        value = statement(first_line(text, end))
        if clean(value):
            return value
    return None


def first_line(text: str, start: int) -> str:
    """The first line with anything on it from `start` on, at most `LONGEST` characters of it."""
    window = text[start : start + LONGEST]
    return OPENING.sub("", window, count=1).split("\n", 1)[0].strip()


def statement(line: str) -> str:
    """A line without the reasons and the sentences that follow its first statement."""
    line = line.split("<<", 1)[0] or line
    for end in (SENTENCE.search(line), REASON.search(line)):
        if end is not None:
            line = line[: end.start()] or line
    return FINAL_VERB.sub("", line.rstrip("*_ ")) or line
