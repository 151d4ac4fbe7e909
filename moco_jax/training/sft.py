"""Supervised fine-tuning: one jitted step, over full weights or over an adapter's factors.

What is trained is a pytree of its own. Whatever else the loss needs (the frozen base of an adapter)
is passed beside it, so that one step serves both and the frozen part is neither copied nor donated.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from moco_jax.models.config import ModelConfig
from moco_jax.models.decoder import forward, unembed
from moco_jax.training.data import Batch
from moco_jax.training.losses import answer_cross_entropy

Params = Any
Metrics = dict[str, jax.Array]
Loss = Callable[[Params, Params, Batch], tuple[jax.Array, Metrics]]


@dataclasses.dataclass(frozen=True)
class OptimizerSettings:
    """AdamW with a linear warm-up and a cosine decay.

    Attributes:
        steps: length of the whole schedule.
        learning_rate: its peak.
        warmup_steps: steps from 0 to the peak.
        final_share: learning rate at the end, as a share of the peak.
        weight_decay: decoupled, on matrices only.
        clip_norm: bound on the global gradient norm.
        b1: decay of the first moment.
        b2: decay of the second moment.
    """

    steps: int
    learning_rate: float = 1e-3
    warmup_steps: int = 50
    final_share: float = 0.05
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    b1: float = 0.9
    b2: float = 0.98

    def schedule(self) -> optax.Schedule:
        """Learning rate as a function of the step."""
        return optax.warmup_cosine_decay_schedule(
            init_value=0.0,
            peak_value=self.learning_rate,
            warmup_steps=min(self.warmup_steps, max(self.steps - 1, 0)),
            decay_steps=max(self.steps, 1),
            end_value=self.learning_rate * self.final_share,
        )

    def optimizer(self) -> optax.GradientTransformation:
        """The optimizer these settings describe."""
        return optax.chain(
            optax.clip_by_global_norm(self.clip_norm),
            optax.adamw(
                self.schedule(),
                b1=self.b1,
                b2=self.b2,
                weight_decay=self.weight_decay,
                mask=lambda params: jax.tree.map(lambda leaf: leaf.ndim > 1, params),
            ),
        )


class TrainState(NamedTuple):
    """Everything a step changes.

    Attributes:
        trained: the pytree that is trained.
        optimizer: the optimizer's state.
        step: i32 scalar, steps taken.
    """

    trained: Params
    optimizer: optax.OptState
    step: jax.Array


def full_loss(config: ModelConfig) -> Loss:
    """Answer-only cross-entropy of a decoder whose own weights are trained."""

    def loss(params: Params, frozen: Params, batch: Batch) -> tuple[jax.Array, Metrics]:
        del frozen
        hidden, _ = forward(config, params, batch.tokens, batch.positions)
        return answer_cross_entropy(unembed(config, params, hidden), batch.targets, batch.weights)

    return loss


def adapted_loss(config: ModelConfig, apply: Callable[[Params, Params], Params]) -> Loss:
    """The same of an adapter: `apply(base, adapter)` gives the weights that answer."""
    whole = full_loss(config)

    def loss(adapter: Params, base: Params, batch: Batch) -> tuple[jax.Array, Metrics]:
        return whole(apply(base, adapter), None, batch)

    return loss


def start(trained: Params, optimizer: optax.GradientTransformation) -> TrainState:
    """The state before the first step; `trained` is copied, since steps donate their state."""
    copied = jax.tree.map(jnp.array, trained)
    return TrainState(copied, optimizer.init(copied), jnp.zeros((), jnp.int32))


def train_step(
    loss: Loss, optimizer: optax.GradientTransformation
) -> Callable[[TrainState, Params, Batch], tuple[TrainState, Metrics]]:
    """One jitted update `(state, frozen, batch) -> (state, metrics)` that donates the state."""

    def step(state: TrainState, frozen: Params, batch: Batch) -> tuple[TrainState, Metrics]:
        gradients, metrics = jax.grad(loss, has_aux=True)(state.trained, frozen, batch)
        updates, optimizer_state = optimizer.update(gradients, state.optimizer, state.trained)
        trained = optax.apply_updates(state.trained, updates)
        metrics["gradient_norm"] = optax.global_norm(gradients)
        return TrainState(trained, optimizer_state, state.step + 1), metrics

    return jax.jit(step, donate_argnums=0)
