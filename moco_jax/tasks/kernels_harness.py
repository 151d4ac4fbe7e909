"""Measures a rewritten PyTorch module against its original; runs inside the sandbox.

Everything of the reference, and every function that checks, is bound before the candidate's source
runs; outputs are compared on inputs that are each seen once, so a remembered output is wrong.
"""

import time
from collections.abc import Callable
from typing import Any

import torch

CHECKS = 5
WARM_UPS = 3
TIMED = 10
SEED = 42
TOLERANCE = 1e-4


def build(source: str, name: str, file: str) -> tuple[torch.nn.Module, dict[str, Any]]:
    """A module of a source, made from the seed, and the source's names."""
    space: dict[str, Any] = {"__name__": file}
    exec(compile(source, file, "exec"), space)
    torch.manual_seed(SEED)
    arguments = space["get_init_inputs"]() if "get_init_inputs" in space else []
    return space[name](*arguments), space


def fresh_inputs(space: dict[str, Any], device: str, seed: int) -> list[Any]:
    """Inputs of their own per seed."""
    torch.manual_seed(seed)
    return [x.to(device) if torch.is_tensor(x) else x for x in space["get_inputs"]()]


def milliseconds(
    model: torch.nn.Module,
    inputs: list[list[Any]],
    device: str,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Mean time of a forward pass, over inputs taken in turn."""
    synchronize = torch.cuda.synchronize if device != "cpu" else (lambda: None)
    times = []
    for turn in range(WARM_UPS + TIMED):
        arguments = inputs[turn % len(inputs)]
        synchronize()
        start = clock()
        model(*arguments)
        synchronize()
        times.append(1000.0 * (clock() - start))
    return sum(times[WARM_UPS:]) / TIMED


def same(
    given: Any,
    wanted: Any,
    allclose: Callable[..., bool] = torch.allclose,
    is_tensor: Callable[[Any], bool] = torch.is_tensor,
) -> bool:
    """Same shape, and all values within the absolute and relative tolerance."""
    if isinstance(wanted, tuple | list):
        fits = isinstance(given, tuple | list) and len(given) == len(wanted)
        return fits and all(
            same(*pair, allclose, is_tensor) for pair in zip(given, wanted, strict=True)
        )
    if not is_tensor(given) or given.shape != wanted.shape:
        return False
    return allclose(given.float(), wanted.float(), rtol=TOLERANCE, atol=TOLERANCE)


def measure(reference: str, candidate: str, device: str) -> list[Any]:
    """`[compiled, correct, candidate ms, reference ms]`; times are -1 where there are none.

    An empty list says that there is no such device here.
    """
    if device != "cpu" and not torch.cuda.is_available():
        return []
    model, space = build(reference, "Model", "reference")
    model = model.to(device).eval()
    inputs = [fresh_inputs(space, device, SEED + turn) for turn in range(CHECKS)]
    copies = [[x.clone() if torch.is_tensor(x) else x for x in given] for given in inputs]
    with torch.no_grad():
        wanted = [model(*given) for given in copies]
        reference_ms = milliseconds(model, inputs, device)
        weights, check, timer = model.state_dict(), same, milliseconds
        defaults = same.__defaults__ or ()
        try:
            rewritten, _ = build(candidate, "ModelNew", "candidate")
            rewritten.load_state_dict(weights, strict=False)
            rewritten = rewritten.to(device).eval()
        except Exception:
            return [False, False, -1.0, -1.0]
        try:
            fresh = [[x.clone() if torch.is_tensor(x) else x for x in given] for given in inputs]
            outputs = [rewritten(*given) for given in fresh]
            right = all(check(*pair, *defaults) for pair in zip(outputs, wanted, strict=True))
            return [True, right, timer(rewritten, inputs, device) if right else -1.0, reference_ms]
        except Exception:
            return [True, False, -1.0, -1.0]
