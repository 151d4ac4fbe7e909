"""Statements about options: which letters an output states, mentions, or supposes."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from moco_jax.tasks import answer_words as words
from moco_jax.tasks.option_texts import exactly_at, fold, negated, option_at, ruled_out

Binding = Literal["stated", "mentioned", "supposed"]
NONE = "?"  # the letter of a statement that names several

_CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3\u0e00-\u0e7f"
_OPENING = r"[\s(\[{*_\"'`$“‘<«「『=:：|>→–—-]{0,8}"
# A letter that stands for an option: "C", "(C)", "C)", "**C**", "C.", "C:", "C because".
LETTER = re.compile(
    rf"(?P<opening>{_OPENING})(?:\\(?:text|mathrm|textbf|boxed?)\{{\s?)?\(?"
    r"(?P<letter>[A-ZАВСЕ]|[a-z])"
    r"(?=\Z|[)\]}*_\"`$,;!?：:”’>。、|»」』]|\.(?!\w)|['’](?:(?!\w)|d[ıiuü]r|t[ıiuü]r)"
    rf"|\s{{0,2}}\n|\s{{1,4}}(?:\Z|[-–—(|\n]|(?i:{words.BECAUSE})(?!\w)"
    rf"|(?i:{words.NOT_BEFORE})\s[(*]{{0,2}}[A-Z](?!\w))|(?<=[A-Z])\s?[{_CJK}])"
)
_LOOKALIKES = str.maketrans("АВСЕ", "ABCE")

_PLAIN_FILLERS = (
    r"would|should|must|will|could|might|may|be|the|der|die|das|den|la|le|el|il|lo|det|het|most"
    r"|best|final|finale|endgültige|definitely|clearly|probably|likely|certainly|obviously"
    r"|therefore|thus|also|daher|donc|somit|indeed|simply|only|one|i think|i believe|it is|it's"
    r"|described|given|by|to|of|question|this|as|with|number|nummer|número|numéro"
)
FILLER = re.compile(
    rf"['’]s\b|l['’]|[\s:：=*_\"'`|>→–—-]{{0,6}}(?:(?P<is>{words.IS})|{words.ANSWER}|{words.OPTION}"
    rf"|{words.CORRECT}|(?:{_PLAIN_FILLERS})(?![\w'])"
    r"|(?-i:a|o|e) (?=[(*\"]{0,3}[A-Z](?!\w)))",
    re.IGNORECASE,
)
LINKS = re.compile(r"[:：=\n|>→–—]|(?:\A|\s)-\s|\*\*|__")
SPEAKS = re.compile(
    rf"(?P<answer>{words.ANSWER}|(?<!\w)ans(?=[.:])\.?)|(?P<option>{words.OPTION})"
    rf"|(?P<choose>{words.CHOOSE})"
    rf"|(?P<thus>{words.THUS}|(?<!\w)(?:it's|it is|must be|definitely|clearly|probably|certainly"
    r"|surely|c'est|es ist)(?!\w))"
    rf"|(?P<correct>{words.CORRECT})",
    re.IGNORECASE,
)
# "C is correct", "C ist die richtige Antwort", "C正确", "C: correct".
_VERDICT = re.compile(
    rf"[)\]*_.,\"”’]{{0,4}}(?:\s{{0,2}}(?:(?:{words.IS})|must be|has to be|seems|looks)\s{{0,2}}"
    r"|\s{0,2}[:=→–—-]\s{0,2}|\s(?=(?:die|der|das|la|le|el|il|the)\s|правильн|верн|صحيح|الصحيح|सही))"
    rf"(?:(?:the|la|le|el|il|der|die|das|de|det|most|clearly|definitely|therefore|thus|daher|also"
    rf"|donc|only|a|o|{words.OPTION}|{words.ANSWER}) ?){{0,4}}"
    rf"(?:{words.CORRECT}|(?<=\s)(?:the |die |la |le |el |il |de )?{words.ANSWER})"
    r"|[)\]*_]{0,4}\s(?:remains|is left|bleibt(?: übrig)?|reste|queda|resta)"
    r"(?=\s{0,2}(?:[.!,;\n]|\Z))"
    rf"|[)\]*_]{{0,4}}(?:이|가|が|을|를|を|は|是)?\s?(?:{words.CORRECT_UNSPACED}|選び|選択)",
    re.IGNORECASE,
)
_WORDLY = "A-Za-z0-9_À-ɏЀ-ӿ'’"
_ASKED = re.compile(r"[^.!?\n]{0,40}\?")
MARKED = re.compile(rf"(?<![{_WORDLY}])[(\[*_]{{0,3}}(?P<letter>[A-Z])(?![{_WORDLY}])")
_BOTH = re.compile(r"(?<!\w)[A-Z]\)?\s?(?:and|&|und|et|y|e|und auch|和)\s?\Z")
# "The second best answer is D" states nothing.
_SECOND = re.compile(
    r"(?<!\w)(?:second|next|other|another|wrong|incorrect|false|rejected|eliminated|discarded|excluded"
    r"|tempting|common|zweite?|zweitbeste|verworfene|abgelehnte|rejetée|descartada|rechazada"
    r"|falsche|andere|deuxième|mauvaise|otra|segunda|altra|seconda|другой|второй)"
    r"\s(?:best |possible |likely |most likely ){0,2}\Z",
    re.IGNORECASE,
)
SEVERAL = re.compile(
    r"[)\]*_]{0,4}\s{0,2}(?:,|/|&|and|or|und|oder|et|ou|y|o|e|и|或|和|と)\s{0,2}[(\[*_]{0,3}"
    r"(?:and |or )?(?P<letter>[A-Z])[)\]*_]{0,4}\s{0,2}(?:[.!;\n]|\Z)"
)
BUT = re.compile(
    r"(?:(?:\bnot|n't|n’t|\bnicht|\bpas|\bno|\bnon|\bnão|\bне|\bniet)\s|不是)[(*\"]{0,3}[A-Z][)*\"]{0,3}"
    r",?\s?(?:but(?: rather)?|sondern|mais|sino|ma|mas|а|maar|而是)\s?[(*\"]{0,3}"
    rf"(?P<letter>[A-Z])(?![{_WORDLY}])"
)
CHECKED = re.compile(
    r"^[ \t|*(>-]{0,8}([A-Z])[)*.:| \t][^\n]{0,400}?"
    r"(?:[✅✔✓☑]|\|\s{0,4}(?:yes|correct|true|right|ja|oui|sí)\s{0,4}\|[ \t]*$)",
    re.MULTILINE | re.IGNORECASE,
)
# "B) correct", "B: yes", alone on a line
CALLED = re.compile(
    rf"^[ \t*(>-]{{0,8}}([A-Z])[)*.:]{{1,4}}[ \t]{{1,4}}({words.CORRECT}"
    r"|yes|ja|oui|sí|sì|sim|да|是)[.!]?[ \t]*$",
    re.MULTILINE | re.IGNORECASE,
)
_INTRODUCED = re.compile(
    rf"(?:{words.CORRECT}|{words.THUS}|final|finale|endgültige)[\s,]{{1,3}}"
    r"(?:it is |it's |the |is ){0,2}\Z",
    re.IGNORECASE,
)
_CLAUSE_END = re.compile(r"[)\]*_\"']{0,4}\s{0,2}(?:[.!;,\n]|\Z|remains|fits|is left)")
# Somebody else's choice, or one that is taken back.
_OTHERS = re.compile(
    r"(?<!\w)(?:you|they|some|many|most people|others?|people|students?|someone|anyone|one|who|if"
    r"|tempted|initially|at first|first|considered|thought|tempting|wrongly|incorrectly|not|n't"
    r"|don't|wouldn't|never|rather than|instead of)(?!\w)",
    re.IGNORECASE,
)
_SUPPOSED = re.compile(
    r"(?<!\w)(?:if|had|were|suppose|supposing|unless|otherwise|wenn|falls|hätte|wäre|si|se|если"
    r"|якби|إذا|لو|eğer|nếu|jika)(?!\w)|如果|假如|假设|若|もし|なら|만약",
    re.IGNORECASE,
)
_UNREAL = re.compile(
    r"(?<!\w)(?:had|were|was|asked|would|could|might|hätte|wäre|würde|gefragt|fût|était|serait|fuera"
    r"|fuese|sería|hubiera|fosse|sarebbe|seria|бы|был[аои]?|كان|كانت)(?!\w)|如果|假如|もし|なら|만약",
    re.IGNORECASE,
)
# "D serait correcte pour l'Italie"
_CONDITIONAL = re.compile(r"(?<!\w)(?:would|wäre|serait|sería|sarebbe|seria)(?!\w)", re.IGNORECASE)
SENTENCE_END = re.compile(r"[.!?;。！？\n](?=\s|\Z|[" + _CJK + r"])|\n")


@dataclass(frozen=True)
class Statement:
    """A letter that a text names.

    Attributes:
        start: where the statement begins.
        end: behind the letter.
        letter: upper case; one that no option has, or `NONE`, states no option.
        binding: how the letter is named.
    """

    start: int
    end: int
    letter: str
    binding: Binding


def statements(text: str, letters: str, options: Sequence[str]) -> list[Statement]:
    """All statements about options, in order of where they begin.

    Args:
        text: an output.
        letters: of the options.
        options: their folded texts.
    """
    found = [*_spoken(text, letters, options), *_judged(text, options), *_opposed(text)]
    found += [*_checked(text, options), *_tabled(text)]
    return sorted(found, key=lambda one: (one.start, one.end))


def letter_at(text: str, start: int) -> re.Match[str] | None:
    """A letter that stands for an option at `start`, markup before it included."""
    return LETTER.match(text, start)


def upper(match: re.Match[str]) -> str:
    """The letter of a match, Cyrillic lookalikes as Latin."""
    return match["letter"].translate(_LOOKALIKES).upper()


def mark_at(text: str, match: re.Match[str], options: Sequence[str]) -> int:
    """The place behind a letter and, where it follows, the text of its option."""
    end = match.end()
    index = ord(upper(match)) - ord("A")
    option = options[index] if index < len(options) else ""
    opening = re.match(r"[)\]*_.:,\"”’]{0,4}\s{0,3}[(\[,–—\"“*-]{0,2}\s?", text[end : end + 16])
    begin = end + (opening.end() if opening else 0)
    if option and fold(text[begin : begin + len(option)]) == option.rstrip():
        end = begin + len(option)
        closing = re.match(r"[)\]*_.\"”]{0,3}", text[end : end + 3])
        return end + (closing.end() if closing else 0)
    return end


def _spoken(text: str, letters: str, options: Sequence[str]) -> Iterator[Statement]:
    """What follows the words for answers, options and choosing."""
    for match in SPEAKS.finditer(text):
        kind, start = match.lastgroup or "", match.start()
        if kind == "correct" and fold(match.group()) in options:
            continue  # "True" may be an option itself
        end, linked = _filled(text, match.end())
        if kind in ("answer", "correct", "choose") and not negated(text, start):
            exact = exactly_at(text, end, letters, options)
            if exact is not None and (linked or kind != "correct") and not negated(text, end):
                yield Statement(start, end + 1, exact, _binding(text, start, end, "stated"))
                continue
        letter = letter_at(text, end)
        statement = None
        if letter is not None:
            linked = linked or LINKS.search(letter["opening"]) is not None
            statement = _lettered(text, match, letter, linked, letters, options)
        if statement is not None:
            yield statement
        elif kind in ("answer", "choose") or (kind in ("option", "correct") and linked):
            named = option_at(text, end, letters, options)
            if named is not None and not negated(text, end):
                yield Statement(start, end + 1, named, _binding(text, start, end, "stated"))


def _filled(text: str, end: int) -> tuple[int, bool]:
    """The place behind fillers, and whether one of them links what follows to what was before."""
    linked = False
    for _ in range(8):
        match = FILLER.match(text, end)
        if match is None:
            break
        linked = linked or match["is"] is not None or LINKS.search(match.group()) is not None
        end = match.end()
    return end, linked


def _lettered(
    text: str,
    match: re.Match[str],
    letter: re.Match[str],
    linked: bool,
    letters: str,
    options: Sequence[str],
) -> Statement | None:
    """The statement that a word and the letter behind it make, None where they make none."""
    kind, start, end = match.lastgroup, match.start(), letter.end()
    found, behind = upper(letter), mark_at(text, letter, options)
    if letter["letter"] in "aI" and text[end : end + 1] == " ":
        return None
    if letter["letter"].islower() and kind in ("correct", "thus"):
        return None
    if _SECOND.search(text[max(0, start - 40) : start]):
        return None
    if negated(text, start) or negated(text, letter.start("letter")) or text[end : end + 1] == "?":
        return None
    # "B) False" need not be false: that may be the option's text
    if ruled_out(text, behind, at_once=True):
        return None
    several = SEVERAL.match(text, end)
    if found not in letters:
        found = option_at(text, letter.start(), letters, options) or found
    elif several is not None and several["letter"] in letters and linked:
        found = NONE
    binding: Binding = "stated" if _states(text, match, letter, linked) else "mentioned"
    return Statement(start, end, found, _binding(text, start, letter.start(), binding))


def _states(text: str, match: re.Match[str], letter: re.Match[str], linked: bool) -> bool:
    """Whether a word and the letter behind it state an answer, and do not merely mention it."""
    start, end = match.start(), letter.end()
    if match.lastgroup == "choose":
        return _OTHERS.search(_sentence_before(text, start)) is None
    if match.lastgroup == "thus":
        return _CLAUSE_END.match(text, end) is not None
    if linked:
        return True
    if match.lastgroup == "correct":
        return False
    introduced = _INTRODUCED.search(text[max(0, start - 40) : start])
    return introduced is not None and not ruled_out(text, end)


def _binding(text: str, start: int, end: int, binding: Binding) -> Binding:
    """`supposed` where the sentence up to a letter speaks of what is not so."""
    if binding != "stated":
        return binding
    before = _sentence_before(text, start) + text[start:end]
    unreal = _SUPPOSED.search(before) is not None and _UNREAL.search(before) is not None
    return "supposed" if unreal else binding


def _sentence_before(text: str, start: int) -> str:
    """What stands before a place in its sentence, at most 200 characters."""
    window = text[max(0, start - 200) : start]
    ends = [match.end() for match in SENTENCE_END.finditer(window)]
    return window[ends[-1] :] if ends else window


def _judged(text: str, options: Sequence[str]) -> Iterator[Statement]:
    """Letters, perhaps with their option's text, that are said to be correct."""
    for match in MARKED.finditer(text):
        for end in sorted({match.end(), mark_at(text, match, options)}):
            verdict = _VERDICT.match(text, end)
            if verdict is None or _ASKED.match(text, verdict.end()):
                continue
            if not negated(text, match.start()) and not ruled_out(text, end, at_once=True):
                unreal = _CONDITIONAL.search(verdict.group()) is not None
                binding = _binding(text, match.start(), verdict.end(), "stated")
                binding = "supposed" if unreal else binding
                both = _BOTH.search(text[max(0, match.start() - 8) : match.start()])
                letter = NONE if both else match["letter"]
                yield Statement(match.start(), end, letter, binding)
                break


def _opposed(text: str) -> Iterator[Statement]:
    """ "Not A but B"."""
    for match in BUT.finditer(text):
        yield Statement(match.start(), match.end(), match["letter"], "stated")


def _checked(text: str, options: Sequence[str]) -> Iterator[Statement]:
    """The one line of a list or table whose option is ticked, or called right."""
    called = (match for match in CALLED.finditer(text) if fold(match[2]) not in options)
    ticked = sorted([*CHECKED.finditer(text), *called], key=lambda match: match.start())
    if len({match.group(1) for match in ticked}) == 1:
        yield Statement(ticked[-1].start(), ticked[-1].end(), ticked[-1].group(1).upper(), "stated")


def _tabled(text: str) -> Iterator[Statement]:
    """The letter in the last row of a table's column for the answer."""
    column, position = None, 0
    for line in text.split("\n"):
        cells = line.strip().strip("|").split("|") if line.strip().startswith("|") else []
        if not cells:
            column = None
        elif column is None:
            named = [bool(re.search(words.ANSWER, cell, re.IGNORECASE)) for cell in cells]
            column = named.index(True) if True in named else -1
        elif 0 <= column < len(cells):
            letter = re.fullmatch(r"[\W_]{0,6}([A-Z])(?:[).:].{0,200})?[\W_]{0,6}", cells[column])
            if letter is not None:
                yield Statement(position, position + len(line), letter.group(1), "stated")
        position += len(line) + 1
