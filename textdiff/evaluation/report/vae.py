"""What a VAE makes of its splits: numbers, and pictures above their reconstructions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from textdiff.data import CaptionedImages
from textdiff.errors import DataError
from textdiff.evaluation.features.cached import CachedFeatures
from textdiff.evaluation.protocol import data_protocol
from textdiff.evaluation.report.document import (
    Block,
    Missing,
    Notes,
    Numbers,
    Pairs,
    Part,
    Row,
    Section,
)
from textdiff.evaluation.report.images import of_tensor
from textdiff.evaluation.results import to_json
from textdiff.evaluation.vae.measure import (
    Reconstructed,
    check_judged,
    measure_vae,
    reconstruct,
)
from textdiff.evaluation.vae.result import Channel, VaeResult
from textdiff.evaluation.vae.table import digits_of
from textdiff.metrics.paired_kernel import LARGEST
from textdiff.metrics.sample_size import too_few
from textdiff.vae import Vae

BATCH = 64  # pictures at once
MEANINGS = {
    "PSNR": "how like a picture its reconstruction is, in dB: above 30 it is hard to tell from it",
    "SSIM": "how like it is in structure: 1 is the same",
    "KL,": "what the latents say of a picture",
    "KID": "how far reconstructions are from the pictures for a CLIP: 0 is not at all",
    "R@1": "how often a picture finds its own caption first; reconstructions should as often",
}  # by how names begin


def reconstructions(
    vae: Vae,
    judges: Mapping[str, CachedFeatures],
    splits: Mapping[str, CaptionedImages],
    *,
    limit: int | None,
    examples: int,
) -> Part:
    """limit: of each split the first so many; None: `LARGEST`. examples: shown, at most."""
    blocks: list[Block] = []
    headlines: list[Row] = []
    numbers: dict[str, Any] = {}
    most = limit or LARGEST  # all are held in memory
    for split, data in splits.items():
        try:
            if judges:
                check_judged(data, most)
            done = reconstruct(vae, data, most, BATCH)
            result = measure_vae(done, judges)
        except DataError as error:
            blocks.append(
                Missing(f"Reconstructions of {split}", str(error), "Name another --split")
            )
            continue
        found = list(rows(result))
        title = f"{data.title}: {len(done)} pictures of {data.image_size}x{data.image_size} pixels"
        blocks.append(Numbers(title, found, floor="", ceiling=""))
        blocks.append(Numbers(f"{split}: latents", list(of_channels(result)), floor="", ceiling=""))
        notes = too_few("mean", result.pictures)
        if limit is None and len(data) > most:
            notes = [f"the first {most:,} of {len(data):,} pictures; --limit takes more", *notes]
        blocks.append(Notes(notes))
        blocks.append(worst(done, split, examples))
        headlines.append(Row(f"PSNR, {split}", MEANINGS["PSNR"], result.psnr, ".1f"))
        numbers[split] = {"data": to_json(data_protocol(data)), **to_json(result)}
    lead = "What becomes of a picture that is encoded and decoded; diffusion draws no better ones."
    section = Section("reconstructions", "Reconstructions", lead, blocks)
    return Part(section, headlines, {"reconstructions": numbers})


def rows(result: VaeResult) -> Iterator[Row]:
    for name, estimate in result.estimates():
        meaning = next(text for start, text in MEANINGS.items() if name.startswith(start))
        yield Row(name, meaning, estimate, digits_of(name))


def of_channels(result: VaeResult) -> Iterator[Row]:
    for number, channel in enumerate(result.channels):
        yield Row(f"channel {number}, deviation", _said(channel), channel.std, ".2f")


def _said(channel: Channel) -> str:
    mean, bits = channel.mean.value, channel.kl_bits.value
    return f"mean {mean:.2f}, {bits:,.0f} bits a picture; diffusion sees it normalised"


def worst(done: Reconstructed, split: str, examples: int) -> Pairs:
    """The pictures whose reconstructions are least like them."""
    pairs = []
    for k in torch.argsort(done.psnr, stable=True)[:examples].tolist():
        name = next(filter(None, done.captions[k]), done.names[k])
        above = of_tensor(done.pictures[k], name, alt=f"Picture: {name}")
        again = of_tensor(done.again[k], "", f"{done.psnr[k]:.1f} dB", f"Reconstruction: {name}")
        pairs.append((above, again))
    return Pairs(f"{split}: the least like", "A picture above its reconstruction.", pairs)
