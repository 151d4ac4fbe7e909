"""Joint decoding by a function of the members' logits; see `methods.decorators`."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from moco_jax.decoding.combine import Choice, Combine
from moco_jax.decoding.types import Response
from moco_jax.method import Method, Needs, Workbench
from moco_jax.methods.registry import make_method, spec_of
from moco_jax.system import Context, System, question, tuples
from moco_jax.tasks import Item


@dataclasses.dataclass(frozen=True)
class FunctionStep:
    """The function as a step of joint decoding; equal ones share a compiled program.

    Attributes:
        function: see `logit_method`.
        settings: (name, value) of the hyperparameters that are part of the program.
    """

    function: Callable[..., jax.Array]
    settings: tuple[tuple[str, Any], ...]

    def __call__(
        self, theta: dict[str, jax.Array], carry: Any, keys: jax.Array, logits: jax.Array, aux: Any
    ) -> tuple[Any, Choice]:
        """theta {name: f32[B]}, logits f32[M, B, V]; each row with its own settings."""
        del keys, aux

        def row(values: dict[str, jax.Array], own: jax.Array) -> jax.Array:
            mixed = self.function(own[:, None, :], **dict(self.settings), **values)
            wanted = (1, own.shape[-1])
            if jnp.shape(mixed) != wanted:
                raise ValueError(
                    f"{self.function.__name__} gave shape {jnp.shape(mixed)} for logits "
                    f"{(own.shape[0], *wanted)}; it takes [M, B, V] and returns [B, V]"
                )
            return mixed[0].astype(jnp.float32)

        return carry, Choice(logits=jax.vmap(row, in_axes=(0, 1))(theta, logits))


@dataclasses.dataclass(frozen=True)
class FunctionFusion(Method):
    """Base of methods made by `logit_method`; see there.

    Cost: one generation per item, in which every member takes part.
    """

    function: ClassVar[Callable[..., jax.Array]]
    needs: ClassVar[Needs] = Needs(same_vocabulary=True)

    def split(self) -> tuple[dict[str, float], tuple[tuple[str, Any], ...]]:
        """Hyperparameters that are data, and those that are part of the program."""
        fields = dataclasses.fields(self)
        values = {field.name: tuples(getattr(self, field.name)) for field in fields}
        floats = {field.name: values.pop(field.name) for field in fields if field.type is float}
        return floats, tuple(values.items())

    def combine(self) -> Combine:
        """The policy of joint decoding."""
        _, fixed = self.split()
        return Combine(FunctionStep(type(self).function, fixed), name="function")

    def fit(self, bench: Workbench) -> System:
        """Nothing to learn."""
        del bench
        return FunctionFused(self, spec_of(type(self)), tuple(dataclasses.asdict(self).items()))


@dataclasses.dataclass(frozen=True)
class FunctionFused(System):
    """All members write together by a function.

    Attributes:
        method: the method, which holds the function.
        spec: names it, so that it is found again.
        settings: (name, value) of its hyperparameters.
    """

    method: FunctionFusion = dataclasses.field(metadata={"json": False}, repr=False)
    spec: str
    settings: tuple[tuple[str, Any], ...]

    def respond(self, items: Sequence[Item], context: Context) -> list[Response]:
        """One joint answer per item."""
        floats, _ = self.method.split()
        theta = {name: np.full(len(items), value, np.float32) for name, value in floats.items()}
        requests = [question(item) for item in items]
        return context.join(range(len(context.pool)), requests, self.method.combine(), theta)

    @classmethod
    def restore(cls, fields: dict[str, Any], directory: Any) -> "FunctionFused":
        """Finds the function again by its name."""
        del directory
        method = make_method(fields["spec"], dict(fields["settings"]))
        if not isinstance(method, FunctionFusion):
            raise ValueError(
                f"{fields['spec']} is no longer made by @logit_method; it was when this system was "
                "saved. Put the function back to load it"
            )
        return cls(method, **fields)
