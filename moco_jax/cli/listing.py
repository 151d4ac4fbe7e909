"""`moco list`: what there is to choose from."""

import difflib
import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from absl import flags

from moco_jax.analysis.tables import TextTable, to_text
from moco_jax.cli.commands import Command, Parsed

if TYPE_CHECKING:
    from moco_jax.methods.describe import Setting


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("data_dir", None, "folder of TASK.json files", flag_values=values)
    flags.DEFINE_string("method", None, "whose settings; all by default", flag_values=values)


def _methods(parsed: Parsed) -> str:
    from moco_jax.cli.method_files import list_methods

    rows = [(line.name, line.needs, line.summary) for line in list_methods()]
    return to_text(TextTable(("method", "needs", "what it does"), tuple(rows)))


def _settings(parsed: Parsed) -> str:
    from moco_jax.methods.describe import settings_of
    from moco_jax.methods.registry import METHODS, resolve

    kinds = [resolve(parsed["method"])] if parsed["method"] else list(METHODS.values())
    return "\n\n".join(_described(kind.name, settings_of(kind)) for kind in kinds)


def _described(method: str, settings: Sequence["Setting"]) -> str:
    lines = [method]
    for setting in settings:
        lines.append(f"  {setting.name} = {setting.default}")
        lines += textwrap.wrap(
            setting.meaning, 96, initial_indent=" " * 6, subsequent_indent=" " * 6
        )
    return "\n".join(lines if settings else [method, "  no settings"])


def _tasks(parsed: Parsed) -> str:
    from moco_jax.tasks import list_tasks
    from moco_jax.tasks.datasets import HOW_TO_GET

    rows = [
        (
            info.name,
            info.kind,
            str(info.dev),
            str(info.test),
            info.paper,
            info.licence,
            "ready" if info.present else info.source,
        )
        for info in sorted(list_tasks(parsed["data_dir"]), key=lambda info: not info.present)
    ]
    columns = ("task", "kind", "dev", "test", "arXiv", "licence", "source")
    return f"{to_text(TextTable(columns, tuple(rows), frozenset({2, 3})))}\n{HOW_TO_GET}"


def _architectures(parsed: Parsed) -> str:
    from moco_jax.models.families import FAMILIES

    rows = [(name, f"{family.stem}ForCausalLM") for name, family in FAMILIES.items()]
    return to_text(TextTable(("model_type", "class in config.json"), tuple(rows)))


def _members(parsed: Parsed) -> str:
    from moco_jax.tiny.registry import DESCRIPTIONS, MEMBERS, PREFIX

    about = {f"{name}-lora": f"LoRA adapter, {text}" for name, text in DESCRIPTIONS.items()}
    rows = [(PREFIX + name, (DESCRIPTIONS | about)[name]) for name in MEMBERS]
    return to_text(TextTable(("member", "what it is"), tuple(rows)))


LISTS: dict[str, Callable[[Parsed], str]] = {
    "methods": _methods,
    "settings": _settings,
    "tasks": _tasks,
    "architectures": _architectures,
    "members": _members,
}


def _run(parsed: Parsed, words: Sequence[str]) -> int:
    for word in words:
        if word not in LISTS:
            near = difflib.get_close_matches(word, LISTS, n=1)
            offer = f"did you mean {near[0]}?" if near else f"there are {', '.join(LISTS)}"
            raise ValueError(f"there is no list of {word!r}: {offer}")
    # The settings of all methods are many pages: they are listed when asked for
    shown = words or [name for name in LISTS if name != "settings"]
    print("\n\n".join(LISTS[word](parsed) for word in shown))
    return 0


COMMAND = Command(
    name="list",
    summary="Lists methods, their settings, tasks, architectures that load, and packaged members.",
    usage="[methods|settings|tasks|architectures|members]",
    examples=("moco list methods", "moco list settings --method=api_cascade"),
    define=_define,
    run=_run,
)
