"""`moco list`: what there is to choose from."""

import difflib
from collections.abc import Callable, Sequence

from absl import flags

from moco_jax.analysis.tables import TextTable, to_text
from moco_jax.cli.commands import Command, Parsed


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("data_dir", None, "folder of TASK.json files", flag_values=values)


def _methods(parsed: Parsed) -> TextTable:
    from moco_jax.cli.method_files import list_methods

    rows = [(line.name, line.needs, line.summary) for line in list_methods()]
    return TextTable(("method", "needs", "what it does"), tuple(rows))


def _tasks(parsed: Parsed) -> TextTable:
    from moco_jax.tasks import list_tasks

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
    return TextTable(
        ("task", "kind", "dev", "test", "arXiv", "licence", "source"),
        tuple(rows),
        frozenset({2, 3}),
    )


def _architectures(parsed: Parsed) -> TextTable:
    from moco_jax.models.families import FAMILIES

    rows = [(name, f"{family.stem}ForCausalLM") for name, family in FAMILIES.items()]
    return TextTable(("model_type", "class in config.json"), tuple(rows))


def _members(parsed: Parsed) -> TextTable:
    from moco_jax.tiny.registry import DESCRIPTIONS, MEMBERS, PREFIX

    about = {f"{name}-lora": f"LoRA adapter, {text}" for name, text in DESCRIPTIONS.items()}
    rows = [(PREFIX + name, (DESCRIPTIONS | about)[name]) for name in MEMBERS]
    return TextTable(("member", "what it is"), tuple(rows))


LISTS: dict[str, Callable[[Parsed], TextTable]] = {
    "methods": _methods,
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
    print("\n\n".join(to_text(LISTS[word](parsed)) for word in words or LISTS))
    if "tasks" in (words or LISTS):
        from moco_jax.tasks.datasets import HOW_TO_GET

        print(HOW_TO_GET)
    return 0


COMMAND = Command(
    name="list",
    summary="Lists methods, tasks, architectures that can be loaded, and packaged members.",
    usage="[methods|tasks|architectures|members]",
    examples=("moco list methods",),
    define=_define,
    run=_run,
)
