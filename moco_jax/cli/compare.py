"""`moco compare`: methods, seeds and tasks in one table."""

import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from absl import flags, logging

from moco_jax.cli import dry_run, environment, outputs, settings
from moco_jax.cli.commands import Command, Parsed, refuse_words

if TYPE_CHECKING:
    from moco_jax.analysis.benches import Bench
    from moco_jax.analysis.sweep import Table
    from moco_jax.method import Method
    from moco_jax.runs.config import RunConfig

FORMATS = ["text", "markdown", "csv", "latex"]


def define_format(values: flags.FlagValues) -> None:
    """The flag that says how a table is written."""
    flags.DEFINE_enum("format", "text", FORMATS, "of the table (default text)", flag_values=values)


def define_html(values: flags.FlagValues) -> None:
    """The flag that asks for a report to look at."""
    flags.DEFINE_string(
        "html", None, "write a report to look at into this file", flag_values=values
    )


def write_html(benches: "Sequence[Bench]", file: str, title: str) -> str:
    """Writes a report; the sentence that says where."""
    from moco_jax.analysis.report import write_report

    path = pathlib.Path(file)
    write_report(benches, path, title)
    return f"report: {path} ({path.stat().st_size // 1000:,} kB)"


def _define(values: flags.FlagValues) -> None:
    lists = {
        "methods": "names from `moco list methods`, or all",
        "tasks": "names from `moco list tasks`, or JSON files",
        "seeds": "one run of each method per seed (default 42)",
    }
    for name, text in lists.items():
        flags.DEFINE_list(name, None, text, flag_values=values)
        flags.DEFINE_alias(name.removesuffix("s"), name, flag_values=values)
    settings.define_pool(values)
    settings.define_decoding(values)
    values[
        "set"
    ].help = "sampling as NAME=VALUE, a method's own setting as METHOD.NAME=VALUE; may be repeated"
    define_format(values)
    define_html(values)
    flags.DEFINE_boolean(
        "fail_fast",
        False,
        "stop at the first method that fails, instead of going on with the others",
        flag_values=values,
    )
    dry_run.define(values)
    environment.define(values)
    environment.define_processes(values)


def _run(parsed: Parsed, words: Sequence[str]) -> int:
    refuse_words("compare", words, "methods are named with --methods=")
    record = settings.read_config(parsed["config"])
    asked = parsed["methods"] or [record.get("method")]
    tasks = parsed["tasks"] or [record.get("task")]
    own = [setting for setting in parsed["set"] if "." in setting.partition("=")[0]]
    shared = [setting for setting in parsed["set"] if setting not in own]
    first = {"method": asked[0], "task": tasks[0]}
    config = settings.make_config(parsed, record | first, settings.parse_settings(shared))
    _refuse_what_tasks_say(config)
    seeds = [_seed(text) for text in parsed["seeds"] or [config.seed]]
    given = _by_method(_expanded(asked), settings.parse_settings(own), record, config)
    methods, missing = _made(given, tolerant=asked == ["all"])
    environment.configure_jax(parsed[environment.COMPILATION_CACHE])
    environment.join(parsed)
    if parsed[dry_run.DRY_RUN]:
        print(dry_run.show(parsed, config, methods, tasks, seeds, missing))
        return 0
    outputs.check_folder("out", config.out)
    outputs.check_file("html", parsed["html"])
    _say(
        f"moco: {_count(methods, 'method')}, {_count(tasks, 'task')}, {_count(seeds, 'seed')} with "
        f"{' + '.join(config.models)}, on {environment.devices()}, into {config.out}"
    )
    for name, reason in missing.items():
        _say(f"moco: not run: {name}: {reason}")
    table = _compare(config, methods, tasks, seeds, parsed["fail_fast"])
    benches = _show(table, missing, parsed["format"])
    if parsed["html"]:
        _say(write_html(benches, parsed["html"], pathlib.Path(config.out).resolve().name))
    else:
        _say(f"all answers, side by side: moco report {config.out} --html=report.html")
    return int(any(row.error for row in table.rows))


def _count(things: Sequence[Any], name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


def _refuse_what_tasks_say(config: "RunConfig") -> None:
    """Settings that each of several tasks has its own of."""
    if config.prompt_template is not None:
        raise ValueError(
            "compare puts every task's questions in its own way; take prompt_template out of the "
            "config, or use moco run"
        )
    if config.kind is not None:
        logging.info("every task is scored by its own kind, not by the config's %s", config.kind)


def _expanded(names: Sequence[str]) -> list[str]:
    if list(names) != ["all"]:
        return list(names)
    from moco_jax.methods import METHODS

    return list(METHODS)


def _by_method(
    names: Sequence[str],
    own: Mapping[str, Any],
    record: Mapping[str, Any],
    config: "RunConfig",
) -> dict[str, dict[str, Any]]:
    """Hyperparameters by method, from `METHOD.NAME` settings and the config file."""
    found: dict[str, dict[str, Any]] = {name: {} for name in names}
    if record.get("method") in found:
        found[record["method"]].update(config.hyperparameters)
    elif config.hyperparameters:
        name = config.hyperparameters[0][0]
        raise ValueError(f"{name} is no setting of sampling; write METHOD.{name}=VALUE")
    for path, value in own.items():
        method, _, name = path.rpartition(".")
        if method not in found:
            raise ValueError(f"--set {path}: {method!r} is not among --methods={','.join(names)}")
        found[method][name] = value
    return found


def _made(
    given: Mapping[str, Mapping[str, Any]], tolerant: bool
) -> tuple[list["Method | str"], dict[str, str]]:
    """Methods with their hyperparameters; where tolerant, also why some could not be made."""
    from moco_jax.methods import HyperparameterError
    from moco_jax.runs import naming

    methods: list[Method | str] = []
    missing: dict[str, str] = {}
    for name, values in given.items():
        try:
            method = naming.make_method(name, values)
            methods.append(method if values else name)
        except HyperparameterError as error:
            if not tolerant:
                raise
            missing[name] = str(error)
    return methods, missing


def _seed(text: str | int) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise ValueError(f"--seeds has {text!r}; seeds are whole numbers: --seeds=1,2,3") from error


def _compare(
    config: "RunConfig",
    methods: Sequence["Method | str"],
    tasks: Sequence[str],
    seeds: list[int],
    fail_fast: bool,
) -> "Table":
    from moco_jax.analysis.sweep import compare

    return compare(
        methods,
        config.models,
        tasks,
        seeds,
        sampling=config.sampling,
        out=config.out,
        batch_size=config.batch_size,
        ratio=config.ratio,
        dtype=config.dtype,
        offload=config.offload,
        mesh=config.mesh,
        data_dir=config.data_dir,
        judges={role: name for role in settings.JUDGES if (name := getattr(config, role))},
        allow_weak_sandbox=config.allow_weak_sandbox,
        progress=sys.stderr.isatty(),
        fail_fast=fail_fast,
    )


def _show(table: "Table", missing: Mapping[str, str], form: str) -> "list[Bench]":
    """Prints the table; the benches it shows."""
    from moco_jax.analysis import summary

    not_run = table.not_run
    for task in dict.fromkeys(row.task for row in table.rows):
        not_run += [summary.NotRun(task, method, reason) for method, reason in missing.items()]
    print(summary.render(table.benches, form, not_run))
    _say(summary.notes(table.benches))
    return table.benches


def _say(text: str) -> None:
    """Prints what is no part of the table."""
    from moco_jax.analysis.tables import printable

    print(printable(text), file=sys.stderr, flush=True)


COMMAND = Command(
    name="compare",
    summary="Runs methods on tasks over seeds and shows one table, with honest intervals.",
    usage="--methods=A,B|all --tasks=A,B --models=A,B,C [flags]",
    examples=(
        "moco compare --methods=all --tasks=tiny_mix --seeds=1,2,3 "
        "--models=tiny:math,tiny:words,tiny:facts",
    ),
    define=_define,
    run=_run,
    defaults=settings.defaults,
)
