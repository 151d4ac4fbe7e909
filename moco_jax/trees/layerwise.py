"""A merge whose setting changes from the first layer to the last."""

import dataclasses
import re
from typing import Any

import numpy as np

from moco_jax.trees.tiled import TiledMerge

_LAYER = re.compile(r"(?:^|/)layers_(\d+)/")


@dataclasses.dataclass(frozen=True)
class Layerwise:
    """A merge for each tensor: one field follows a curve over the layers.

    Attributes:
        merge: all other settings.
        field: the field's name, such as "weights" or "t".
        curve: its values at evenly spaced layers, first to last, interpolated between them: numbers
            or tuples of numbers.
        outside: its value in tensors of no layer (embeddings, the last norm, the output).
        layers: how many layers there are.
    """

    merge: TiledMerge
    field: str
    curve: tuple[Any, ...]
    outside: Any
    layers: int

    def at(self, path: str) -> TiledMerge:
        """The merge of the leaf at `path`, as in "layers_3/mlp/up_proj/kernel"."""
        found = _LAYER.search(path)
        value = self._value(int(found[1])) if found else self.outside
        return dataclasses.replace(self.merge, **{self.field: value})  # type: ignore[type-var]

    def recipe(self) -> list[Any]:
        """JSON values that set it apart: the recipes of every layer's merge and of the others'."""
        inside = [self.at(f"layers_{layer}/").recipe() for layer in range(self.layers)]
        return ["by layer", inside, self.at("").recipe()]

    def _value(self, layer: int) -> Any:
        places = np.linspace(0, max(1, self.layers - 1), len(self.curve))
        points = np.array(self.curve, float)
        if points.ndim == 1:
            return float(np.interp(layer, places, points))
        return tuple(float(np.interp(layer, places, column)) for column in points.T)
