"""What makes a training with torch one that can be done again: device, seed, one thread, and its state as arrays.

On a processor the same data, settings and code give the same bits, whatever the number of cores. On a graphics card
torch is held to its deterministic algorithms too, but another card or driver may round differently; so the device is
recorded with the model.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tools.errors import UsageError

Module = Any  # of torch, which is imported where it is used


def import_torch() -> Any:
    """Return torch; raises UsageError, saying how to get it, where it is not installed."""
    try:
        import torch
    except ImportError as error:
        raise UsageError(
            f"this needs torch, which cannot be imported here ({error}): run `make forecast`, which sets up"
            " .venv-forecast, or install the extra `forecast`"
        ) from error
    return torch


def choose_device() -> str:
    """Return ``cuda`` where torch finds a graphics card that it can use, else ``cpu``."""
    return "cuda" if import_torch().cuda.is_available() else "cpu"


@contextlib.contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """Run torch on one thread, with its deterministic algorithms and a seed of its own; put all back afterwards."""
    torch = import_torch()
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # torch demands it of a graphics card
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict)


def module_arrays(prefix: str, module: Module) -> dict[str, npt.NDArray[Any]]:
    """Return the weights of a module by name, each under ``prefix/``."""
    return {f"{prefix}/{name}": value.detach().cpu().numpy().copy() for name, value in module.state_dict().items()}


def set_module(prefix: str, module: Module, arrays: dict[str, npt.NDArray[Any]]) -> None:
    """Give a module the weights that ``module_arrays`` returned."""
    torch = import_torch()
    module.load_state_dict(
        {name: torch.from_numpy(np.array(arrays[f"{prefix}/{name}"])) for name in module.state_dict()}
    )


def optimiser_arrays(optimiser: Any) -> dict[str, npt.NDArray[Any]]:
    """Return what an optimiser remembers of each parameter (for Adam: its steps and its two moments)."""
    return {
        f"optimiser/{number}/{name}": value.detach().cpu().numpy().copy()
        for number, kept in optimiser.state_dict()["state"].items()
        for name, value in kept.items()
    }


def set_optimiser(optimiser: Any, arrays: dict[str, npt.NDArray[Any]]) -> None:
    """Give an optimiser, made anew with the same settings, the memory that ``optimiser_arrays`` returned."""
    torch = import_torch()
    state: dict[int, dict[str, Any]] = {}
    for key in sorted(arrays):
        if key.startswith("optimiser/"):
            _, number, name = key.split("/")
            state.setdefault(int(number), {})[name] = torch.from_numpy(np.array(arrays[key]))
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
