"""Processes that train one network together, as `torchrun` starts them: each takes its share of every batch.

Without torchrun there is one, and nothing here does anything. The first writes and speaks for all. Where one
ends, torchrun ends the others; what they were waiting for raises a `Fault` that says so.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor, distributed

from contracts import machine
from contracts.faults import Fault

_PATIENCE = timedelta(days=1)
"""The others wait while the first reads a log or asks the validation part; a death they notice at once."""

_Made = TypeVar("_Made")


def count() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def number() -> int:
    """Which of them this is; 0 is the first."""
    return int(os.environ.get("RANK", "0")) if count() > 1 else 0


def is_first() -> bool:
    return number() == 0


def device() -> str:
    """The GPU of this process, or the CPU where there is none."""
    if not torch.cuda.is_available():
        return "cpu"
    return f"cuda:{int(os.environ.get('LOCAL_RANK', '0')) if count() > 1 else 0}"


def threads(chosen: int) -> int:
    """Threads of this process: as `[training] threads` says, or an equal part of the cores."""
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if count() > 1 else 1
    return chosen or max(1, machine.cores() // here)


def first_alone(make: Callable[[], _Made]) -> _Made:
    """What `make` gives: the first process makes it alone, the others afterwards, when they only find it."""
    if not is_first():
        wait()
    made = make()
    if is_first():
        wait()
    return made


def wait() -> None:
    """Return once all have come here."""
    if count() > 1:
        with _together():
            distributed.barrier()


def add_up(tensors: list[Tensor]) -> None:
    """Replace each by its sum over all processes, the same to the last digit in all of them."""
    if count() == 1:
        return
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    with _together():
        distributed.all_reduce(flat)
    for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))


def copy_first(tensors: list[Tensor]) -> None:
    """Replace each by what the first process has there."""
    if count() > 1:
        with _together():
            for tensor in tensors:
                distributed.broadcast(tensor, src=0)


def as_first_says(value: float) -> float:
    """A number from the first process, which alone may know it."""
    told = torch.tensor([value], dtype=torch.float64, device=device())
    copy_first([told])
    return float(told)


@contextmanager
def _together() -> Iterator[None]:
    try:
        if not distributed.is_initialized():
            if torch.cuda.is_available():
                torch.cuda.set_device(device())
            distributed.init_process_group(timeout=_PATIENCE)
        yield
    except RuntimeError as error:
        raise Fault(
            f"process {number() + 1} of {count()} cannot go on: the connection to the others broke, since one of "
            f"them ended. What ended it is said above or below. ({str(error).splitlines()[0]})"
        ) from error
