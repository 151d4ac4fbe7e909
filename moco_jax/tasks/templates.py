"""What a model is asked: one short template per kind of task.

A template is a format string with `{question}` and, where there are options, `{choices}`;
literal braces are doubled. Changing a default changes every fingerprint and every score.
"""

import string
from collections.abc import Sequence

from moco_jax.tasks.kernel_prompt import KERNEL_PROMPT

LETTERS = string.ascii_uppercase

TEMPLATES: dict[str, str] = {
    "multiple_choice": "{question}\n{choices}\nAnswer with the letter.",
    "coding": "{question}\n\nAnswer with one ```python code block that holds the whole function.",
    "exact_match": "{question}\n\nPut the final answer in \\boxed{{}}.",
    "f1_match": "{question}\n\nPut the final answer in \\boxed{{}}.",
    "gene_ranking": "{question}",
    "general_verifier": "{question}",
    "generation_diversity": "{question}",
    "ifeval": "{question}",
    "kernel_bench": KERNEL_PROMPT,
    "noncompliance": "{question}",
    "reward_model": "{question}",
    "text_generation": "{question}",
    "smdd": "{question}",
}


def option_lines(choices: Sequence[str]) -> str:
    """The options as `A) text` lines, lettered by position."""
    return "\n".join(f"{letter}) {text}" for letter, text in zip(LETTERS, choices, strict=False))


def render(template: str, question: str, choices: Sequence[str]) -> str:
    """Fills a template that `check_template` has passed."""
    return template.format(question=question, choices=option_lines(choices))


def check_template(template: str) -> None:
    """Raises a ValueError where a template cannot be filled or does not show the question."""
    try:
        fields = {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}
    except ValueError as error:
        raise ValueError(
            f"prompt_template {template!r} is not a format string ({error}); "
            "double literal braces, as in \\boxed{{}}"
        ) from error
    unknown = sorted(fields - {"question", "choices"})
    if unknown:
        raise ValueError(
            f"prompt_template has unknown fields {unknown}; it may use {{question}} and "
            "{choices}, and literal braces are doubled, as in \\boxed{{}}"
        )
    if "question" not in fields:
        raise ValueError(f"prompt_template {template!r} never shows the {{question}}")
