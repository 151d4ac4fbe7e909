"""The loop around the step: where it starts, when it saves, what it logs."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

import grain
import jax
from absl import logging

from moco_jax.training.checkpointing import Checkpoints
from moco_jax.training.data import Batch
from moco_jax.training.sft import Metrics, TrainState


@dataclasses.dataclass(frozen=True)
class LoopSettings:
    """When to save and when to speak.

    Attributes:
        steps: updates in all.
        save_every: updates between checkpoints; the last one is always saved.
        log_every: updates between log lines.
    """

    steps: int
    save_every: int = 500
    log_every: int = 100


def fit(
    step: Callable[[TrainState, Any, Batch], tuple[TrainState, Metrics]],
    state: TrainState,
    frozen: Any,
    data: grain.IterDataset,
    settings: LoopSettings,
    directory: str | pathlib.Path,
) -> TrainState:
    """Trains to the last step, from the newest checkpoint in `directory` if there is one.

    A killed run that is started again ends bit-equal to an unbroken one on the same machine: the
    state and the place in the data are restored together.

    Args:
        step: from `train_step`.
        state: from `start`; its buffers are donated.
        frozen: handed to every step unchanged.
        data: batches, see `batch_dataset`.
        settings: how long, how often.
        directory: of this training's checkpoints, and of nothing else.

    Raises:
        ValueError: the newest checkpoint is beyond the last step.
    """
    checkpoints = Checkpoints(directory)
    batches = iter(data)
    if checkpoints.latest is not None:
        state = checkpoints.restore(state, batches)
        logging.info("%s: resumed at step %d", directory, int(state.step))
    if int(state.step) > settings.steps:
        raise ValueError(
            f"{directory} has trained {int(state.step)} steps, beyond the {settings.steps} asked "
            "for; ask for more steps, or train in another directory"
        )
    for number in range(int(state.step) + 1, settings.steps + 1):
        state, metrics = step(state, frozen, next(batches))
        if number % settings.log_every == 0:
            values = {name: round(float(value), 4) for name, value in metrics.items()}
            logging.info("%s: step %d of %d: %s", directory, number, settings.steps, values)
        if number % settings.save_every == 0 or number == settings.steps:
            checkpoints.save(number, state, batches)
    checkpoints.close()
    return jax.block_until_ready(state)
