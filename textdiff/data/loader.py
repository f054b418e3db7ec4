"""Batches for optimizer steps, the same for every number of processes and workers.

G = batch_size * world_size * accumulation            rows of a step, over all processes
step s reads positions [s G, (s + 1) G) of the endless order
micro-batch m of rank r: s G + m (world_size * batch_size) + r * batch_size + [0, batch_size)
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Generator
from dataclasses import dataclass
from functools import partial

import torch
from torch.utils.data import DataLoader, Dataset

from textdiff.data.order import EndlessOrder
from textdiff.data.training_data import TrainingData
from textdiff.data.workers import results_of, start_worker
from textdiff.errors import DataError
from textdiff.randomness import seed_of
from textdiff.types import Batch


def batches(
    data: TrainingData,
    *,
    seed: int,
    batch_size: int,
    start_step: int = 0,
    accumulation: int = 1,
    rank: int = 0,
    world_size: int = 1,
    workers: int = 0,
) -> Generator[list[Batch], None, None]:
    """Endless: per optimizer step, this rank's `accumulation` micro-batches of `batch_size` rows.

    Raises:
        DataError: too many unusable images (see `CaptionedImages.read`).
    """
    order = EndlessOrder(len(data), seed, data.group_size)
    steps = _Steps(data, order, batch_size, accumulation, rank, world_size)
    if workers == 0:
        yield from map(steps.step, itertools.count(start_step))
        return
    loader = DataLoader(
        steps,
        batch_size=None,
        sampler=itertools.count(start_step),
        num_workers=workers,
        worker_init_fn=partial(start_worker, parent=os.getpid()),
        multiprocessing_context="spawn",  # forking a process with threads or CUDA can hang
        generator=torch.Generator(),  # by default the loader draws from the global one
    )
    with results_of(loader) as results:
        for result in results:
            if isinstance(result.outcome, DataError):
                raise result.outcome
            data.note_bad(result.bad)
            yield result.outcome


@dataclass(frozen=True)
class _Result:
    """What a worker sends: a step's batches or an error, and the bad images that it knows."""

    outcome: list[Batch] | DataError
    bad: dict[int, str]


@dataclass
class _Steps(Dataset[_Result]):
    data: TrainingData
    order: EndlessOrder
    batch_size: int
    accumulation: int
    rank: int
    world_size: int

    def __getitem__(self, step: int) -> _Result:
        try:
            outcome: list[Batch] | DataError = self.step(step)
        except DataError as error:  # returned, as the loader would wrap it in a traceback
            outcome = DataError(str(error))
        return _Result(outcome, dict(self.data.bad))

    def step(self, step: int) -> list[Batch]:
        return [self._micro_batch(step, micro) for micro in range(self.accumulation)]

    def _micro_batch(self, step: int, micro: int) -> Batch:
        first = ((step * self.accumulation + micro) * self.world_size + self.rank) * self.batch_size
        epochs, ids = self.order.at(torch.arange(first, first + self.batch_size))
        used, image = self.data.read(ids.tolist())
        captions = [
            pick_caption(self.data.captions[index], self.order.seed, epoch, index)
            for index, epoch in zip(used, epochs.tolist(), strict=True)
        ]
        return Batch(image, captions, torch.tensor(used), epochs)


def pick_caption(captions: list[str], seed: int, epoch: int, sample_id: int) -> str:
    """One of an image's captions, a function of (seed, epoch, sample id)."""
    if len(captions) == 1:
        return captions[0]
    return captions[seed_of(seed, "caption", epoch, sample_id) % len(captions)]
