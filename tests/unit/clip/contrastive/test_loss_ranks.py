"""Losses over two gloo processes: what one process makes of the whole batch, or open_clip's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from tests.helpers.contrastive import unit_features
from tests.helpers.two_processes import free_port
from textdiff.clip import contrastive_loss, sigmoid_loss

PAIRS = 8
TILED = {"tile_size": 3, "dense_logits": 0}
LOSSES: dict[str, Callable] = {
    "dense": lambda i, x, scale, bias: contrastive_loss(i, x, scale) + 0 * bias,
    "tiled": lambda i, x, scale, bias: contrastive_loss(i, x, scale, **TILED) + 0 * bias,
    "sigmoid": lambda i, x, scale, bias: sigmoid_loss(i, x, scale, bias, tile_size=3),
}
SPLITS = {"even": 4, "uneven": 5, "all on one": 8}  # pairs of rank 0


class Towers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.image, self.text = nn.Linear(6, 4), nn.Linear(5, 4)
        self.log_scale, self.bias = (nn.Parameter(torch.tensor(x)) for x in (3.0, -5.0))
        rng = torch.Generator().manual_seed(0)
        for parameter in [*self.image.parameters(), *self.text.parameters()]:
            nn.init.normal_(parameter, generator=rng)
        self.double()

    def forward(self, images, texts):
        features = (F.normalize(self.image(images), dim=1), F.normalize(self.text(texts), dim=1))
        return *features, self.log_scale.exp(), self.bias


def loss_and_gradients(towers: nn.Module, loss: Callable, rows: slice) -> dict[str, torch.Tensor]:
    images, texts = unit_features(PAIRS, 6, 1)[rows], unit_features(PAIRS, 5, 2)[rows]
    value = loss(*towers(images, texts))
    value.backward()
    named = {name.removeprefix("module."): p.grad for name, p in towers.named_parameters()}
    return named | {"loss": value.detach()}


def local_by_open_clip(images, texts, scale, bias) -> torch.Tensor:
    from open_clip.loss import ClipLoss

    loss = ClipLoss(local_loss=True, rank=dist.get_rank(), world_size=2)
    return loss(images, texts, scale) + 0 * bias


def in_process(rank: int, folder: Path, port: int) -> None:
    torch.set_num_threads(1)
    address = f"tcp://127.0.0.1:{port}"
    dist.init_process_group("gloo", init_method=address, rank=rank, world_size=2)

    def found(loss: Callable, first: int) -> dict[str, torch.Tensor]:
        rows = slice(0, first) if rank == 0 else slice(first, PAIRS)
        return loss_and_gradients(DistributedDataParallel(Towers()), loss, rows)

    results = {
        f"{name}, {split}": found(loss, first)
        for name, loss in LOSSES.items()
        for split, first in SPLITS.items()
    }
    results["local"] = found(
        lambda i, x, scale, bias: contrastive_loss(i, x, scale, local=True, **TILED) + 0 * bias, 4
    )
    results["local by open_clip"] = found(local_by_open_clip, 4)
    results["apart"] = found(lambda i, x, s, b: contrastive_loss(i, x, s, gather=False) + 0 * b, 4)
    torch.save(results, folder / f"{rank}.pt")
    dist.barrier()  # neither closes its connections while the other still needs them
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory) -> list[dict]:
    """What each of two gloo processes found."""
    folder = tmp_path_factory.mktemp("ranks")
    mp.spawn(in_process, (folder, free_port()), nprocs=2)
    return [torch.load(folder / f"{rank}.pt") for rank in (0, 1)]


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("name", LOSSES)
def test_loss_and_gradients_are_those_of_one_process(name, split, rank, two_processes):
    whole = loss_and_gradients(Towers(), LOSSES[name], slice(PAIRS))
    found = two_processes[rank][f"{name}, {split}"]
    torch.testing.assert_close(found, whole, rtol=1e-9, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_the_local_loss_is_open_clips(rank, two_processes):
    found, expected = (two_processes[rank][name] for name in ("local", "local by open_clip"))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.slow
def test_local_losses_average_to_the_whole_one(two_processes):
    local = [found["local"]["loss"] for found in two_processes]
    whole = two_processes[0]["dense, even"]["loss"]
    torch.testing.assert_close(sum(local) / 2, whole, rtol=1e-9, atol=1e-12)


@pytest.mark.slow
def test_without_gathering_ranks_know_only_their_own_pairs(two_processes):
    alone = loss_and_gradients(Towers(), LOSSES["dense"], slice(4))["loss"]
    torch.testing.assert_close(two_processes[0]["apart"]["loss"], alone)
