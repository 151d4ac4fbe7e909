"""The catalogue: complete, true to the files, and what the docs page shows."""

import pathlib

import pytest

from moco_jax.cli.main import main
from moco_jax.tasks import SCORERS, list_tasks, load_task
from moco_jax.tasks.datasets import Dataset, datasets
from moco_jax.tasks.templates import TEMPLATES

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "tasks.md"
REMOTE = {"assaybench"}


def line(dataset: Dataset) -> str:
    """A dataset as the docs page shows it."""
    paper = f"[{dataset.paper}](https://arxiv.org/abs/{dataset.paper})" if dataset.paper else ""
    cells = (
        f"`{dataset.name}`",
        dataset.what,
        f"`{dataset.kind}`",
        f"{dataset.dev} / {dataset.test}",
        paper,
        dataset.licence,
        dataset.notes,
    )
    return f"| {' | '.join(cells)} |"


def test_the_page_shows_every_dataset_as_the_catalogue_has_it():
    table = [
        "| task | what | kind | dev / test | paper | licence | peculiarities |",
        "|---|---|---|---|---|---|---|",
        *(line(dataset) for dataset in datasets().values()),
    ]
    page = PAGE.read_text(encoding="utf-8")
    missing = [row for row in table if row not in page.splitlines()]
    assert not missing, "add to docs/tasks.md:\n" + "\n".join(missing)
    shown = [row for row in page.splitlines() if row.startswith("| `") and row.count("|") == 8]
    assert len(shown) == len(datasets())


def test_the_page_shows_every_kind_and_its_ten_lines_run(tmp_path, monkeypatch):
    page = PAGE.read_text(encoding="utf-8")
    for kind in SCORERS:
        assert f"| `{kind}` |" in page
    code = page.split("```python\n")[1].split("```")[0]
    assert len([row for row in code.splitlines() if row.strip()]) <= 10
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(code, names)
    assert names["task"].score("test", ["It is Lima."])[0].value > 0


def test_every_kind_in_the_catalogue_can_be_asked_and_scored():
    kinds = {dataset.kind for dataset in datasets().values()}
    assert kinds <= set(SCORERS)
    assert set(SCORERS) == set(TEMPLATES)
    assert len(datasets()) == 47
    for dataset in datasets().values():
        assert dataset.what and dataset.licence and dataset.dev > 0 < dataset.test


def test_sizes_and_kinds_are_those_of_the_files(shared_dir):
    found = {info.name: info for info in list_tasks(shared_dir / "data") if info.present}
    for name, known in datasets().items():
        if name in REMOTE:
            continue
        info = found[name]
        assert (info.kind, info.dev, info.test) == (known.kind, known.dev, known.test), name
        assert (info.paper, info.licence) == (known.paper, known.licence)


def test_every_file_loads(shared_dir):
    for name in set(datasets()) - REMOTE:
        task = load_task(name, data_dir=shared_dir / "data")
        known = datasets()[name]
        assert len(task.dev) + task.left_out["dev"] == known.dev, name
        assert len(task.test) + task.left_out["test"] == known.test, name
        ids = [item.id for item in task.test.items]
        assert len(set(ids)) == len(ids)


def test_what_is_known_but_not_present_says_how_to_get_it(tmp_path, capsys):
    with pytest.raises(ValueError, match=r"'gsm8k' \(GSM8K\) is known but not here.*--data_dir"):
        load_task("gsm8k")
    with pytest.raises(ValueError, match="hub:bunsenfeng/assaybench"):
        load_task("assaybench", data_dir=tmp_path)
    assert main(["list", "tasks"]) == 0
    shown = capsys.readouterr().out
    rows = {row.split()[0]: row for row in shown.splitlines() if row.strip()}
    assert rows["tiny_mix"].rstrip().endswith("ready")
    assert rows["gsm8k"].rstrip().endswith("modelco 1.1.2")
    assert "--data_dir=" in shown.splitlines()[-1]
