"""One run from its checked parts to its finished directory, going on where a killed one was."""

import functools
import pathlib
from collections.abc import Callable, Iterable, Sequence

from absl import logging

from moco_jax.decoding.engine import Engine
from moco_jax.decoding.hooks import Store
from moco_jax.decoding.placement import Placement
from moco_jax.decoding.types import Response
from moco_jax.method import Method, TaskInfo, Workbench
from moco_jax.pool import Pool
from moco_jax.runs import directory as files
from moco_jax.runs import records
from moco_jax.runs.attempts import PaidStore
from moco_jax.runs.config import RunConfig
from moco_jax.runs.directory import RunDirectory
from moco_jax.runs.judges import JudgeModels, needed_judges
from moco_jax.runs.ledger import FIT, RESPOND, SCORE, Ledger
from moco_jax.runs.members import Members
from moco_jax.runs.resolved import Resolved
from moco_jax.runs.result import Alone, RunResult, summarise
from moco_jax.system import Context, System, restore_system
from moco_jax.tasks import Judges, Score, Split, Task, score_items
from moco_jax.tasks.sandbox import run_programs
from moco_jax.tasks.scoring import RunPrograms

MakeEngine = Callable[[], Engine]


def execute(
    config: RunConfig,
    method: Method,
    task: Task,
    members: Members,
    store: Store,
    *,
    judges: JudgeModels | None = None,
    anew: bool = False,
    progress: bool = False,
) -> RunResult:
    """Runs a method, or returns what its finished run found.

    Args:
        config: what was asked for.
        method: the method that `config.method` names.
        task: the task that `config.task` names.
        members: the pool that `config.models` names.
        store: keeps finished answers.
        judges: models by role, for the kinds of tasks that one judges.
        anew: fits and answers again even if a finished or interrupted run is found; answers that
            the store holds are still taken from there.
        progress: whether long work draws a bar.

    Raises:
        NeedsError: the pool or the task does not meet what the method needs.
        ValueError: the task's kind needs a judge and there is none.
        RuntimeError: another process is working on the same run.
    """
    models = needed_judges(task.kind, judges or {})
    names, found = method.helpers(), members.check(method, TaskInfo.of(task))
    named = list(zip(members.names, members.identities(store), strict=True))
    judged = [(role, model.name, model.identity(store)) for role, model in models.items()]
    helpers = members.helper_identities(names, found, store)
    own = [info.generation_config for info in (*members.infos, *found.values())]
    resolved = Resolved.of(
        config, method, task, named, members.dtype, judges=judged, own=own, helpers=helpers
    )
    place = RunDirectory(config.out, resolved.directory_name)
    if place.finished and not anew:
        logging.info("found the finished run %s", place.path)
        place.tidy()
        return read_result(place.path)
    pool = members.load(store).with_helpers({names[role]: found[role] for role in found})
    with place.locked():
        if place.finished and not anew:  # by another process, since we looked
            place.drop()
            return read_result(place.path)
        if anew:
            place.forget_fit()
        ledger = Ledger(place.run())
        engines = functools.partial(
            Engine,
            seed=config.seed,
            width=config.width,
            store=PaidStore(store, ledger.payer, ledger.earlier),
            meter=ledger,
            progress=progress,
            placement=Placement.of(config.mesh),
            residency=members.residency,
        )
        judged_store = PaidStore(store, ledger.judges_payer, ledger.earlier)
        bound = {role: model.bind(judged_store, ledger.judging) for role, model in models.items()}
        return _attempt(resolved, method, task, pool, engines, ledger, place, bound)


def _attempt(
    resolved: Resolved,
    method: Method,
    task: Task,
    pool: Pool,
    engines: MakeEngine,
    ledger: Ledger,
    place: RunDirectory,
    judges: Judges,
) -> RunResult:
    """Fits, answers, scores and writes, from where an interrupted attempt was."""
    config = resolved.config
    place.write_json(files.CONFIG, resolved.to_record())
    bench = workbench(pool, config, engines(), task.dev, judges, task.runner)
    system = _fit(method, bench, place, ledger)
    with ledger.phase(RESPOND):
        context = Context(pool, engines(), config.sampling, config.seed)
        responses = respond(system, context, task)
    texts = method.training_texts()
    result = _write(resolved, task, responses, pool, engines, ledger, place, judges, texts)
    place.finish()
    return result


def read_result(run_dir: pathlib.Path) -> RunResult:
    """What a finished run found.

    Raises:
        FileNotFoundError: it is no run, or the run did not finish.
    """
    return RunResult.from_record(files.read_json(run_dir / files.RESULT), run_dir)


def workbench(
    pool: Pool,
    config: RunConfig,
    engine: Engine,
    dev: Split,
    judges: Judges | None = None,
    runner: RunPrograms = run_programs,
) -> Workbench:
    """What `fit` gets. Nothing in it leads to the test split.

    Args:
        pool: the members.
        config: the run's.
        engine: runs the members.
        dev: the split to learn from.
        judges: judge answers, for the kinds that need it.
        runner: runs programs that are answers, as the task allows it.
    """

    def score(indices: Sequence[int], outputs: Sequence[str]) -> list[Score]:
        items = [dev.items[index] for index in indices]
        return score_items(items, [dev.golds[index] for index in indices], outputs, judges, runner)

    return Workbench(pool, engine, config.sampling, config.seed, dev=dev, scorer=score)


def _fit(method: Method, bench: Workbench, place: RunDirectory, ledger: Ledger) -> System:
    """The fitted system: of an interrupted attempt if that got so far, else fitted and saved."""
    if place.fitted:
        logging.info("going on with the system fitted in %s", place.work)
        ledger.take_over_fit(files.read_json(place.work / files.LEDGER))
        return restore_system(place.work / files.ARTIFACTS)
    with ledger.phase(FIT):
        system = method.fit(bench)
    place.save_fit(system, ledger.to_json())
    return system


def respond(system: System, context: Context, task: Task) -> list[Response]:
    """The system's answers to the test items, which hold no golds.

    Raises:
        ValueError: there is not one answer per item.
    """
    items = task.items("test")
    responses = system.respond(items, context)
    if len(responses) != len(items):
        raise ValueError(
            f"{type(system).__name__}.respond gave {len(responses)} responses to {len(items)} "
            "items; it must answer every item, in order"
        )
    return responses


def _write(
    resolved: Resolved,
    task: Task,
    responses: Sequence[Response],
    pool: Pool,
    engines: MakeEngine,
    ledger: Ledger,
    place: RunDirectory,
    judges: Judges,
    training_texts: Iterable[str],
) -> RunResult:
    """Scores the answers, compares them with the members' own, and writes all files."""

    def score(said: Sequence[Response]) -> list[Score]:
        return task.score("test", [response.text for response in said], judges=judges)

    items, scores = task.test.items, score(responses)
    with ledger.phase(SCORE):
        # An engine of its own: to one that has asked before, these would be second samples.
        bench = workbench(pool, resolved.config, engines(), task.dev, judges, task.runner)
        dev = bench.dev_scores()
        members, helpers = list(pool), {role: pool.find(n) for role, n, _ in resolved.helpers}
        beside = list(dict.fromkeys(one for one in helpers.values() if one not in members))
        said = [bench.answer(member, items) for member in (*members, *beside)]
        greedy = None
        if not bench.sampling.greedy:
            greedy = bench.answer(bench.best(), items, sampling=bench.sampling.with_greedy())
    worth = [score(theirs) for theirs in said]
    size = len(members)
    place.write_lines(files.RESPONSES, records.answers(items, responses, scores))
    place.write_lines(files.TRANSCRIPTS, records.transcripts(items, responses))
    singles = records.singles(pool.names, items, said[:size], worth[:size])
    place.write_lines(files.SINGLES, singles)
    if beside:
        names = [helper.name for helper in beside]
        others = records.singles(names, items, said[size:], worth[size:])
        place.write_lines(files.HELPERS, others)
    place.write_json(files.LEDGER, ledger.to_json())
    by_member = dict(zip((*members, *beside), worth, strict=True))
    alone = Alone(
        dev=dev,
        members=worth[:size],
        helpers={role: (helper.name, by_member[helper]) for role, helper in helpers.items()},
        greedy=score(greedy) if greedy else None,
    )
    result = summarise(resolved, task, responses, scores, alone, ledger, place.path, training_texts)
    place.write_json(files.RESULT, result.to_record())
    return result
