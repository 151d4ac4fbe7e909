"""Programs wherever outputs put them: in lists and quotes, behind and in front of words."""

import textwrap

import pytest

from moco_jax.tasks.code_answers import find_code

FENCE = "```"
GOOD = "def add_all(xs):\n    return sum(xs)\n"
BODY = f"{FENCE}python\n    return sum(xs)\n{FENCE}"
BLOCK = f"{FENCE}python\n{GOOD}{FENCE}"
STUB = (
    "from typing import List\n\n\ndef add_all(xs: List[int]) -> int:\n"
    '    """ Sum.\n    """\n    pass'
)


def quoted(text):
    return "\n".join(f"> {line}" for line in text.split("\n"))


def listed(space, text=BLOCK):
    return "1. Use this:\n\n" + textwrap.indent(text, space) + "\n\n2. Done."


def added(code):
    names = {"__name__": "answer"}
    exec(compile(code, "answer", "exec"), names)
    return names["add_all"]([1, 2])


WHOLE = {
    **{
        f"{len(space)} of {space[0]!r}": listed(space)
        for space in (" " * 3, " " * 4, " " * 12, "\t", "\t\t")
    },
    "tildes in a list": listed("    ", f"~~~python\n{GOOD}~~~"),
    "on the item's own line": "1. " + textwrap.indent(BLOCK, "   ").lstrip(),
    "on a dash's line": "- " + textwrap.indent(BLOCK, "  ").lstrip(),
    "a quote": quoted(BLOCK) + "\n\nok",
    "a list in a quote": "> 1. x\n" + textwrap.indent(BLOCK, ">    "),
    "a quote in a quote": quoted(quoted(BLOCK)),
    "no last fence, in a list": "* Code:\n" + textwrap.indent(f"{FENCE}python\n{GOOD}", "  "),
    "no last fence": f"Here:\n{FENCE}python\n{GOOD}",
    "indented within its fences": f"{FENCE}python\n{textwrap.indent(GOOD, '    ')}{FENCE}",
    "no fence, indented": "1. Use this:\n\n" + textwrap.indent(GOOD, "    ") + "\n\nDone.",
    "a tag in braces": f"{FENCE}{{.python}}\n{GOOD}{FENCE}",
    "a tag with a version": f"{FENCE}python3.11\n{GOOD}{FENCE}",
    "four ticks": f"{FENCE}`python\n{GOOD}{FENCE}`",
    "other blocks": f"{FENCE}\nprint(1)\n{FENCE}\n{BLOCK}\n{FENCE}bash\npython x.py\n{FENCE}",
    "[BEGIN] and [DONE]": f"[BEGIN]\n{GOOD}[DONE]\nMore text",
    "both within fences": f"{FENCE}python\n[BEGIN]\n{GOOD}[DONE]\n{FENCE}",
    "[PYTHON]": f"[PYTHON]\n{GOOD}[/PYTHON]",
    "on the fence's line": f"{FENCE}python {GOOD}{FENCE}",
    "a helper in a block before": (
        f"1. First:\n   {FENCE}python\n   def total(xs):\n       return sum(xs)\n   {FENCE}\n"
        "2. Then:\n"
        f"   {FENCE}python\n   def add_all(xs):\n       return total(xs)\n   {FENCE}"
    ),
    "imports in a block before": (
        f"{FENCE}python\nimport math\n{FENCE}\n{FENCE}python\nprint('x')\n{FENCE}\n"
        f"{FENCE}python\ndef add_all(xs):\n    return int(math.fsum(xs))\n{FENCE}"
    ),
    "HTML with a class": f'<pre><code class="language-python">{GOOD}</code></pre>',
    "HTML": f"<pre><code>{GOOD}</code></pre>",
    "words in front and behind": f"Sure! Here is it:\n\n{GOOD}\nExplanation\n\nWe use sum.",
    "lines behind": f"{GOOD}\nThis works because sum adds.\nIt's simple.\nEnjoy",
    **{
        f"{word!r} behind": f"{GOOD}\n{word}"
        for word in (
            "Done",
            "Done.",
            "OK",
            "Note: simple",
            "Fertig",
            "完成",
            "**Done**",
            "---\nDone",
            FENCE,
        )
    },
}
BODIES = {
    "fenced": BODY,
    "fenced in a list": listed("   ", BODY),
    "bare": "    return sum(xs)",
    "bare, a word behind": "    return sum(xs)\n\nDone",
    "without its indent": f"{FENCE}\nreturn sum(xs)\n{FENCE}",
}


@pytest.mark.parametrize("stub", ["", STUB], ids=["a text", "a stub"])
@pytest.mark.parametrize("output", WHOLE.values(), ids=WHOLE)
def test_whole_programs(output, stub):
    assert added(find_code(output, "add_all", stub)) == 3


@pytest.mark.parametrize("output", BODIES.values(), ids=BODIES)
def test_bodies_that_complete_a_stub(output):
    assert added(find_code(output, "add_all", STUB)) == 3


def test_a_block_before_that_gives_nothing_needed_is_no_part():
    code = find_code(f"{FENCE}python\nx = 1\n{FENCE}\n{BLOCK}", "add_all", "")
    assert "x = 1" not in code


def test_a_call_that_fails_is_no_prose():
    code = find_code(f"{FENCE}python\n{GOOD}\nprint(missing)\n{FENCE}", "add_all", "")
    with pytest.raises(NameError):
        added(code)
