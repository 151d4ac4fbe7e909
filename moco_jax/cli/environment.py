"""The process around a command: what is logged, and where compiled programs are kept."""

import logging as python_logging
import os
import pathlib
import sys
from typing import TYPE_CHECKING

from absl import flags, logging

if TYPE_CHECKING:
    from moco_jax.cli.commands import Parsed

COMPILATION_CACHE = "compilation_cache"
CACHE_DIR = pathlib.Path("~/.cache/moco_jax/xla")

SHORTEST_COMPILE_SECONDS = 0.1
"""Programs that compile faster are not worth a file."""


def quieten(verbose: bool) -> None:
    """Shows warnings only (everything if `verbose`), each on one line, and silences libraries.

    Called before jax or transformers are imported: they read their settings then.
    """
    # absl warns of every message before its global flags are parsed; a command has its own.
    flags.FLAGS.mark_as_parsed()
    logging.use_absl_handler()
    logging.set_verbosity(logging.INFO if verbose else logging.WARNING)
    logging.set_stderrthreshold(logging.INFO if verbose else logging.WARNING)
    handler = logging.get_absl_handler()
    handler.setFormatter(python_logging.Formatter("moco: %(message)s"))
    if not verbose:
        os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        python_logging.getLogger("jax").setLevel(python_logging.ERROR)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def define(values: flags.FlagValues) -> None:
    """The flag of `configure_jax`."""
    flags.DEFINE_string(
        COMPILATION_CACHE,
        str(CACHE_DIR),
        f"where compiled programs are kept between calls, or none (default {CACHE_DIR})",
        flag_values=values,
    )


def define_processes(values: flags.FlagValues) -> None:
    """The flags of `join`."""
    flags.DEFINE_boolean(
        "distributed",
        False,
        "join the processes that a TPU pod, SLURM or Open MPI has started",
        flag_values=values,
    )
    flags.DEFINE_string(
        "coordinator", "", "HOST:PORT where process 0 of several listens", flag_values=values
    )
    flags.DEFINE_integer("processes", 1, "how many processes run this command", flag_values=values)
    flags.DEFINE_integer("process", 0, "which of them this is, from 0", flag_values=values)


def join(parsed: "Parsed") -> None:
    """Joins the other processes of this command, if there are any; only the first goes on talking.

    Called before anything else of JAX is used.

    Raises:
        ValueError: the flags do not go together.
        RuntimeError: there is no cluster.
    """
    from moco_jax.runs.processes import join_cluster, join_processes, leads

    alone = parsed["processes"] == 1 and not parsed["distributed"]
    if parsed["distributed"]:
        join_cluster()
    else:
        join_processes(parsed["coordinator"], parsed["processes"], parsed["process"])
    if not alone and not leads():
        # All processes find the same, and one of them says it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def configure_jax(cache: str) -> None:
    """Lets JAX keep compiled programs in a folder; "none" keeps nothing."""
    import jax

    if cache == "none":
        return
    folder = pathlib.Path(cache).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", SHORTEST_COMPILE_SECONDS)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


def missing_devices() -> str | None:
    """What to say where JAX_PLATFORMS asks for devices that JAX does not find; None elsewhere.

    JAX itself ends in an assertion, or in an error about its own plugins.
    """
    asked = os.environ.get("JAX_PLATFORMS", "")
    if not asked or "jax" not in sys.modules:
        return None
    import jax

    try:
        jax.devices()
    except Exception:
        extra = {"cuda": "cuda", "gpu": "cuda", "tpu": "tpu"}.get(asked.split(",")[0].lower())
        help_ = f"; check the driver and pip install '.[{extra}]'" if extra else ""
        return (
            f"JAX finds no {asked} device, which JAX_PLATFORMS={asked} asks for{help_}, or unset "
            "JAX_PLATFORMS to take what there is"
        )
    return None


def devices() -> str:
    """The devices in a few words, such as "1 cpu"."""
    import jax

    kinds = {device.device_kind for device in jax.devices()}
    return f"{jax.device_count()} {' / '.join(sorted(kinds))}"
