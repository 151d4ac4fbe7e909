"""The tasks there are: packaged, in a data folder, or known by name and not present."""

import pathlib
from dataclasses import dataclass

from moco_jax.tasks.loading import PACKAGED, parse_file, task_files

# name: (kind, dev rows, test rows), as MoCo 1.1.2 distributes them.
KNOWN: dict[str, tuple[str, int, int]] = {
    "agieval": ("multiple_choice", 1156, 1156),
    "agieval_tiny": ("multiple_choice", 40, 40),
    "alpacaeval": ("reward_model", 2000, 1000),
    "apex_shortlist": ("general_verifier", 7, 40),
    "arc_challenge": ("multiple_choice", 299, 1172),
    "assaybench": ("gene_ranking", 218, 334),
    "bbh": ("exact_match", 1000, 1000),
    "bixbench": ("multiple_choice", 102, 103),
    "blend": ("multiple_choice", 1000, 1000),
    "chembench": ("multiple_choice", 498, 500),
    "coconot": ("noncompliance", 1000, 1000),
    "communitybench": ("multiple_choice", 500, 500),
    "culturalbench_hard": ("multiple_choice", 613, 613),
    "culturebench": ("exact_match", 2454, 2454),
    "gpqa_diamond": ("multiple_choice", 99, 99),
    "gpqa_extended": ("multiple_choice", 273, 273),
    "gpqa_main": ("multiple_choice", 224, 224),
    "gsm8k": ("exact_match", 200, 1000),
    "human_interest": ("reward_model", 400, 400),
    "human_interest_tiny": ("reward_model", 58, 112),
    "humaneval": ("coding", 50, 114),
    "ifeval": ("ifeval", 250, 250),
    "infinite_chat_diversity": ("generation_diversity", 26, 25),
    "infinite_chat_open": ("reward_model", 1000, 1000),
    "kaleidoscope": ("multiple_choice", 1000, 1000),
    "kernelbench": ("kernel_bench", 125, 125),
    "lab_bench": ("multiple_choice", 578, 578),
    "math": ("exact_match", 956, 956),
    "mbpp": ("coding", 487, 487),
    "medmcqa": ("multiple_choice", 2091, 2092),
    "medqa": ("multiple_choice", 636, 637),
    "mixeval": ("multiple_choice", 250, 250),
    "mmlu_redux": ("multiple_choice", 1000, 1000),
    "mmluprox": ("multiple_choice", 500, 500),
    "popqa": ("f1_match", 1000, 1000),
    "pubmedqa": ("exact_match", 500, 500),
    "sciencemeter": ("multiple_choice", 1000, 1000),
    "sciriff": ("exact_match", 114, 139),
    "scitarc": ("general_verifier", 185, 186),
    "smdd": ("smdd", 135, 137),
    "tablemwp_free_text": ("exact_match", 375, 376),
    "tablemwp_multiple_choice": ("multiple_choice", 124, 125),
    "theoremqa": ("exact_match", 400, 400),
    "truthfulqa": ("multiple_choice", 200, 617),
    "value_drifts": ("reward_model", 275, 275),
    "wikidyk": ("f1_match", 1000, 765),
    "wildchat": ("reward_model", 1000, 1000),
}


@dataclass(frozen=True)
class TaskInfo:
    """One line of a task list.

    Attributes:
        name: what `load_task` takes.
        kind: how it is scored; `SCORERS` says which kinds can be.
        dev: rows of the dev split, as the file has them.
        test: rows of the test split, as the file has them.
        present: whether its file was found.
    """

    name: str
    kind: str
    dev: int
    test: int
    present: bool


def list_tasks(data_dir: str | pathlib.Path | None = None) -> list[TaskInfo]:
    """Every packaged, found or known task, by name; what is found is read from its file."""
    tasks = {name: TaskInfo(name, *facts, present=False) for name, facts in KNOWN.items()}
    folders = [PACKAGED] if data_dir is None else [pathlib.Path(data_dir), PACKAGED]
    for folder in folders:
        for path in task_files(folder):
            info = _inspect(path)
            if info is not None:
                tasks[info.name] = info
    return [tasks[name] for name in sorted(tasks)]


def _inspect(path: pathlib.Path) -> TaskInfo | None:
    """What a file says of itself; None where it is no task."""
    try:
        data = parse_file(path, path.read_bytes())
    except ValueError:
        return None
    dev, test = data.get("dev"), data.get("test")
    if not isinstance(dev, list) or not isinstance(test, list):
        return None
    kind = data.get("task_type") or KNOWN.get(path.stem, ("unknown",))[0]
    return TaskInfo(path.stem, str(kind), len(dev), len(test), present=True)
