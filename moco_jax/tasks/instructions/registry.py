"""Every instruction by the id that task files use, with the settings it takes."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from moco_jax.tasks.instructions import counting, language, layout

INSTRUCTIONS: dict[str, Callable[..., bool]] = {
    "change_case:capital_word_frequency": counting.capital_words,
    "change_case:english_capital": layout.all_capital,
    "change_case:english_lowercase": layout.all_lowercase,
    "combination:repeat_prompt": layout.repeat_prompt,
    "combination:two_responses": layout.two_responses,
    "detectable_content:number_placeholders": layout.placeholders,
    "detectable_content:postscript": layout.postscript,
    "detectable_format:constrained_response": layout.constrained_response,
    "detectable_format:json_format": layout.json_format,
    "detectable_format:multiple_sections": layout.sections,
    "detectable_format:number_bullet_lists": layout.bullet_lists,
    "detectable_format:number_highlighted_sections": layout.highlights,
    "detectable_format:title": layout.title,
    "keywords:existence": counting.keywords,
    "keywords:forbidden_words": counting.forbidden_words,
    "keywords:frequency": counting.keyword_frequency,
    "keywords:letter_frequency": counting.letter_frequency,
    "language:response_language": language.response_language,
    "length_constraints:nth_paragraph_first_word": counting.nth_paragraph_first_word,
    "length_constraints:number_paragraphs": counting.paragraphs,
    "length_constraints:number_sentences": counting.sentences,
    "length_constraints:number_words": counting.words,
    "punctuation:no_comma": layout.no_comma,
    "startend:end_checker": layout.end_phrase,
    "startend:quotation": layout.quotation,
}
RELATIONS = ("at least", "less than")


@dataclass(frozen=True)
class Instruction:
    """One instruction of an item.

    Attributes:
        id: its name, a key of `INSTRUCTIONS`.
        settings: the keyword arguments of its check.
    """

    id: str
    settings: Mapping[str, Any]

    def followed(self, text: str) -> bool:
        """Whether a text that is not blank does what the instruction says."""
        return INSTRUCTIONS[self.id](text, **self.settings)


def instruction(id: str, settings: Mapping[str, Any]) -> Instruction:
    """An instruction with settings that fit it; settings that are null count as absent.

    Raises:
        ValueError: the id is unknown, or a setting is missing, unknown or of the wrong type.
    """
    if id not in INSTRUCTIONS:
        raise ValueError(f"instruction {id!r} is unknown; known are {', '.join(INSTRUCTIONS)}")
    given = {name: value for name, value in settings.items() if value is not None}
    wanted = dict(list(inspect.signature(INSTRUCTIONS[id]).parameters.items())[1:])
    if set(given) != set(wanted):
        raise ValueError(f"instruction {id!r} takes {sorted(wanted)}, not {sorted(given)}")
    for name, parameter in wanted.items():
        if not _fits(name, given[name], parameter.annotation):
            expected = _expected(name, parameter)
            raise ValueError(f"instruction {id!r}: {name} is {given[name]!r}, not {expected}")
    if id == "language:response_language":
        language.require_identifier()
    return Instruction(id, given)


def _fits(name: str, value: object, annotation: object) -> bool:
    if name.endswith("relation"):
        return value in RELATIONS
    if annotation == list[str]:
        return isinstance(value, list) and all(isinstance(word, str) and word for word in value)
    if annotation is str:
        return isinstance(value, str) and value != ""
    return isinstance(value, int) and not isinstance(value, bool)


def _expected(name: str, parameter: inspect.Parameter) -> str:
    if name.endswith("relation"):
        return f"one of {RELATIONS}"
    kinds: dict[object, str] = {list[str]: "a list of words", str: "a text", int: "a whole number"}
    return kinds[parameter.annotation]
