"""contrastive_loss: golden values and gradients, open_clip's loss, and several processes as one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from tests.conftest import golden
from textdiff.clip import contrastive_loss, gather_features

GOLDEN = golden("contrastive")
CASES = [c for c in GOLDEN["cases"] if "image_features" in c["inputs"]]


def unit_features(rows: int, dim: int, seed: int, dtype=torch.float64) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(rows, dim, generator=rng, dtype=dtype), dim=1)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("case", CASES, ids=lambda c: c["id"])
def test_golden_loss_and_gradients(case, dtype):
    given, expected = case["inputs"], case["outputs"]
    images = torch.tensor(given["image_features"], dtype=dtype, requires_grad=True)
    texts = torch.tensor(given["text_features"], dtype=dtype, requires_grad=True)
    t = torch.tensor(given["t"], dtype=dtype, requires_grad=True)
    loss = contrastive_loss(images, texts, t.exp())
    loss.backward()
    found = {
        "loss": loss,
        "grad_image_features": images.grad,
        "grad_text_features": texts.grad,
        "grad_t": t.grad,
    }
    for name, value in found.items():
        tolerance = GOLDEN["tolerance"][str(dtype).removeprefix("torch.")]
        wanted = torch.tensor(expected[name], dtype=dtype)
        torch.testing.assert_close(value.detach(), wanted, **tolerance, msg=lambda m, n=name: n + m)


def test_gradcheck():
    images, texts = unit_features(4, 3, 0), unit_features(4, 3, 1)
    t = torch.tensor(1.5, dtype=torch.float64)
    inputs = tuple(x.requires_grad_() for x in (images, texts, t))
    assert torch.autograd.gradcheck(lambda i, x, t: contrastive_loss(i, x, t.exp()), inputs)


def test_open_clips_loss():
    from open_clip.loss import ClipLoss

    images, texts = unit_features(8, 5, 0), unit_features(8, 5, 1)
    scale = torch.tensor(30.0, dtype=torch.float64)
    torch.testing.assert_close(
        contrastive_loss(images, texts, scale), ClipLoss()(images, texts, scale)
    )


def test_logits_stay_in_float32_under_autocast():
    images, texts = (unit_features(8, 5, seed, torch.float32) for seed in (0, 1))
    scale = torch.tensor(100.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = contrastive_loss(images, texts, scale)
    torch.testing.assert_close(mixed, contrastive_loss(images, texts, scale), rtol=0, atol=0)


def test_unpaired_features_are_refused():
    with pytest.raises(ValueError, match=r"\(4, 3\) and text features \(5, 3\)"):
        contrastive_loss(unit_features(4, 3, 0), unit_features(5, 3, 1), torch.tensor(1.0))


# Two processes


class Towers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.image, self.text = nn.Linear(6, 4), nn.Linear(5, 4)
        self.log_scale = nn.Parameter(torch.tensor(1.0))
        rng = torch.Generator().manual_seed(0)
        for parameter in [*self.image.parameters(), *self.text.parameters()]:
            nn.init.normal_(parameter, generator=rng)
        self.double()

    def forward(self, images, texts):
        features = (F.normalize(self.image(images), dim=1), F.normalize(self.text(texts), dim=1))
        return *features, self.log_scale.exp()


def loss_and_gradients(towers: nn.Module, start: int, stop: int) -> dict[str, torch.Tensor]:
    images, texts = unit_features(8, 6, 1)[start:stop], unit_features(8, 5, 2)[start:stop]
    loss = contrastive_loss(*towers(images, texts))
    loss.backward()
    named = {name.removeprefix("module."): p.grad for name, p in towers.named_parameters()}
    return named | {"loss": loss.detach()}


def in_process(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2
    )
    found = loss_and_gradients(DistributedDataParallel(Towers()), 4 * rank, 4 * rank + 4)
    torch.save(found, folder / f"{rank}.pt")
    try:
        gather_features(torch.zeros(3 + rank, 2))
    except ValueError as error:
        (folder / f"{rank}.txt").write_text(str(error))
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory) -> Path:
    """Folder with what each of two gloo processes found."""
    folder = tmp_path_factory.mktemp("ranks")
    mp.spawn(in_process, (folder,), nprocs=2)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_two_processes_give_loss_and_gradients_of_one(rank, two_processes):
    found, whole = torch.load(two_processes / f"{rank}.pt"), loss_and_gradients(Towers(), 0, 8)
    torch.testing.assert_close(found, whole, rtol=1e-9, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_unequal_batches_are_refused_on_every_rank(rank, two_processes):
    assert "same batch size, got [3, 4]" in (two_processes / f"{rank}.txt").read_text()
