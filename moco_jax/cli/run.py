"""`moco run`: one method, one pool, one task, one seed."""

import sys
from collections.abc import Sequence

from absl import flags

from moco_jax.cli import dry_run, environment, outputs, settings
from moco_jax.cli.commands import Command, Parsed, refuse_words


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_string(
        "method",
        None,
        "a name from `moco list methods`, my_file.py:attribute or package.module:attribute",
        flag_values=values,
    )
    flags.DEFINE_string(
        "task", None, "a name from `moco list tasks`, or a JSON file", flag_values=values
    )
    settings.define_pool(values)
    flags.DEFINE_integer("seed", None, "of all randomness", flag_values=values)
    settings.define_decoding(values)
    texts = {
        "prompt_template": "text with {question} and {choices} that replaces the task's own",
        "kind": "how to score, where the task's file does not say",
        "name": "what the run directory's name begins with",
    }
    for name, text in texts.items():
        flags.DEFINE_string(name, None, text, flag_values=values)
    flags.DEFINE_boolean("new", False, "compute a finished run again", flag_values=values)
    flags.DEFINE_string(
        "reference_log",
        None,
        "also write the log file that the reference would write, into this folder",
        short_name="l",
        flag_values=values,
    )
    flags.DEFINE_alias("log_dir", "reference_log", flag_values=values)
    dry_run.define(values)
    environment.define(values)
    environment.define_processes(values)


def _run(parsed: Parsed, words: Sequence[str]) -> int:
    refuse_words("run", words, "methods are named with --method=")
    record = settings.read_config(parsed["config"]) | parsed.given(("method", "task", "kind"))
    given = parsed.given(("seed", "name", "prompt_template"))
    config = settings.make_config(parsed, record, given | settings.parse_settings(parsed["set"]))
    environment.configure_jax(parsed[environment.COMPILATION_CACHE])
    environment.join(parsed)
    if parsed[dry_run.DRY_RUN]:
        from moco_jax.runs.naming import make_method

        method = make_method(config.method, dict(config.hyperparameters))
        print(dry_run.show(parsed, config, [method], [config.task], [config.seed]))
        return 0
    outputs.check_folder("out", config.out)
    if parsed["reference_log"]:
        outputs.check_folder("reference_log", parsed["reference_log"])
    from moco_jax.analysis.tables import printable
    from moco_jax.runs.reference_log import write_reference_log
    from moco_jax.runs.runner import run_config

    print(
        printable(
            f"moco: {config.method} on {config.task} with {' + '.join(config.models)}, "
            f"seed {config.seed}, on {environment.devices()}, into {config.out}"
        ),
        file=sys.stderr,
        flush=True,
    )
    result = run_config(config, anew=parsed["new"], progress=sys.stderr.isatty())
    print(printable(str(result)))
    if result.found:
        print("  this run was finished before; --new computes it again")
    if parsed["reference_log"]:
        print(f"  log          {write_reference_log(result.directory, parsed['reference_log'])}")
    return 0


COMMAND = Command(
    name="run",
    summary="Lets a pool collaborate by one method on one task, and says what came of it.",
    usage="--method=METHOD --task=TASK --models=A,B,C [flags]",
    examples=(
        "moco run --method=logit_logit_fusion --task=tiny_mix "
        "--models=tiny:math,tiny:words,tiny:facts",
        "moco run --config=settings.json --seed=7 --set samples=8",
        "moco run --config=settings.json --batch_size=auto --dry_run",
    ),
    define=_define,
    run=_run,
    defaults=settings.defaults,
)
