"""Instructions about how many words, sentences, paragraphs or letters a text has, and which."""

import re

QUOTES = "'\"“”‘’"
WORD = re.compile(r"\w+")
SPOKEN = re.compile(r"\w+(?:[.'’-]\w+)*+")
# A sentence ends at these before white space, a closing mark or the end.
SENTENCE_END = re.compile(
    r"(?<![.!?。！？…])[.!?。！？…]++[\"'”’)\]*_]{0,4}+(?=\s|\Z)|(?<![。！？])[。！？]+"
)
# A dot after these, or after one letter as in "J. Smith", ends no sentence.
TITLE = re.compile(
    r"(?:\A|[\s(\"'“‘])(?:[a-hj-z]|mr|mrs|ms|dr|prof|st|rev|hon|capt|lt|sgt)\Z", re.IGNORECASE
)
# A dot after these ends a sentence only where no small letter or digit follows.
ABBREVIATION = re.compile(
    r"(?:\A|[\s(\"'“‘])(?:(?:[a-z]\.)+[a-z]|jr|sr|vs|etc|cf|al|no|fig|approx|inc|ltd|co|dept|est)\Z",
    re.IGNORECASE,
)
ORDINAL = re.compile(r"(?:\A|\n)[ \t]{0,4}\d{1,3}\Z")
LONGEST_ABBREVIATION = 8
PARAGRAPH_RULE = re.compile(r"\s?\*\*\*\s?")


def relates(count: int, relation: str, wanted: int) -> bool:
    """Whether a count stands in the relation, "at least" or "less than", to what is wanted."""
    return count < wanted if relation == "less than" else count >= wanted


def words(text: str, relation: str, num_words: int) -> bool:
    """Runs of letters, digits and underscores, so that "well-known" is two."""
    return relates(len(WORD.findall(text)), relation, num_words)


def sentences(text: str, relation: str, num_sentences: int) -> bool:
    """Sentences as `sentence_count` counts them."""
    return relates(sentence_count(text), relation, num_sentences)


def sentence_count(text: str) -> int:
    """Stretches with a word in them that a sentence mark or the end closes.

    Abbreviations and initials close none, nor does a line break: a list without marks reads as one.
    """
    count, start = 0, 0
    for match in SENTENCE_END.finditer(text):
        if match.group() == "." and _abbreviates(text, match.start(), match.end()):
            continue
        count += _has_word(text, start, match.end())
        start = match.end()
    return count + _has_word(text, start, len(text))


def _has_word(text: str, start: int, end: int) -> bool:
    return WORD.search(text, start, end) is not None


def _abbreviates(text: str, dot: int, end: int) -> bool:
    """Whether the dot belongs to an abbreviation, or to the number of a list's line."""
    following = text[end : end + 2].strip()
    if not following:
        return False
    before = text[max(0, dot - LONGEST_ABBREVIATION) : dot]
    if ORDINAL.search(before) or TITLE.search(before):
        return True
    goes_on = following.islower() or following.isdigit()
    return goes_on and ABBREVIATION.search(before) is not None


def paragraphs(text: str, num_paragraphs: int) -> bool:
    """Parts between `***` dividers; only the first and the last may be blank, and count not."""
    parts = PARAGRAPH_RULE.split(text)
    blank = [not part.strip() for part in parts]
    return not any(blank[1:-1]) and len(parts) - sum(blank) == num_paragraphs


def nth_paragraph_first_word(
    text: str, num_paragraphs: int, nth_paragraph: int, first_word: str
) -> bool:
    """The nth of exactly so many paragraphs between blank lines opens with the word."""
    parts = [part.strip() for part in text.split("\n\n")]
    if sum(map(bool, parts)) != num_paragraphs or not 1 <= nth_paragraph <= len(parts):
        return False
    opening = parts[nth_paragraph - 1].split(maxsplit=1)
    if not opening:
        return False
    word = re.split(r"[.,?!'\"“”‘’]", opening[0].lstrip(QUOTES), maxsplit=1)[0]
    return word.casefold() == first_word.casefold()


def keywords(text: str, keywords: list[str]) -> bool:
    """Every keyword occurs, in any case, also inside a longer word."""
    folded = text.casefold()
    return all(keyword.casefold() in folded for keyword in keywords)


def keyword_frequency(text: str, keyword: str, frequency: int, relation: str) -> bool:
    """Occurrences of a keyword that do not overlap, in any case."""
    return relates(text.casefold().count(keyword.casefold()), relation, frequency)


def forbidden_words(text: str, forbidden_words: list[str]) -> bool:
    """None of the words occurs as a word of its own, in any case."""
    return not any(
        re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE)
        for word in forbidden_words
    )


def letter_frequency(text: str, letter: str, let_frequency: int, let_relation: str) -> bool:
    """Occurrences of one character, in any case."""
    return relates(text.lower().count(letter.lower()), let_relation, let_frequency)


def capital_words(text: str, capital_frequency: int, capital_relation: str) -> bool:
    """Words written in capitals throughout; "I" and "A" are such words."""
    found = sum(word.isupper() for word in SPOKEN.findall(text))
    return relates(found, capital_relation, capital_frequency)
