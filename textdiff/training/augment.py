"""Augmentation of captioned pictures: each one's own change is f(seed, step, epoch, sample id).

    place    a point p of the new picture, in [-1, 1]^2, shows the old one at R(angle) F p / scale
    colour   x' = b (c S H x + (1 - c) m), m the mean grey level; H turns the hue, S fades to grey
    cutout   a square takes the picture's mean colour
    words    some are left out of the caption

Borders are repeated. A caption that names a colour, or a flag, whose colours say which it is, keeps
its picture's colours: a red apple made green would teach that green is red.
"""

from __future__ import annotations

import math
import re

import torch
import torch.nn.functional as F
from torch import Tensor

from textdiff.pictures import GREY
from textdiff.randomness import generator
from textdiff.training.augment_config import AugmentConfig
from textdiff.types import Batch

COLOUR_WORDS = {
    *("red", "orange", "yellow", "green", "blue", "purple", "violet", "brown", "pink"),
    *("cyan", "magenta", "turquoise", "teal", "navy", "beige", "tan", "blond", "blonde"),
    *("black", "white", "grey", "gray", "silver", "gold", "golden", "light", "medium", "dark"),
    *("colour", "color", "coloured", "colored", "rainbow", "flag", "flags"),
}
NUM_DRAWS = 9
MAX_WORDS = 64  # of a caption; those behind are kept


def shift_pictures(batch: Batch, pad: int, seed: int, step: int) -> Tensor:
    """Each picture (uint8) moved by up to `pad` pixels each way, borders repeated; its own offset
    is a function of (seed, step, epoch, sample id)."""
    if not pad:
        return batch.image
    side = batch.image.shape[-1]
    padded = F.pad(batch.image.float(), [pad] * 4, mode="replicate").to(torch.uint8)
    shifted = []
    for picture, g in zip(padded, _generators("shift", batch, seed, step), strict=True):
        y, x = torch.randint(2 * pad + 1, (2,), generator=g).tolist()
        shifted.append(picture[:, y : y + side, x : x + side])
    return torch.stack(shifted)


def augment_pictures(
    image: Tensor, batch: Batch, config: AugmentConfig, seed: int, step: int
) -> Tensor:
    """`image` (B, 3, S, S) uint8 of `batch`, changed as `config` says; on the device it is on."""
    if not (config.zoom or config.rotate or config.flip or config.colour or config.cutout):
        return image
    draws = _uniforms("augment", batch, seed, step, NUM_DRAWS).to(image.device)
    signed = 2 * draws - 1
    # in half precision a place has a few bits too few, and a picture grey levels of error
    with torch.autocast(image.device.type, enabled=False):
        x = image.float() / 255
        if config.zoom or config.rotate or config.flip:
            x = _placed(x, signed[:, :3], config)
        if config.colour:
            free = torch.tensor([not names_a_colour(caption) for caption in batch.captions])
            x = _coloured(x, signed[:, 3:7] * free[:, None].to(x), config.colour)
        if config.cutout:
            x = _cut_out(x, draws[:, 7:9], config.cutout)
        return (255 * x).round().clamp(0, 255).to(torch.uint8)


def augment_captions(batch: Batch, config: AugmentConfig, seed: int, step: int) -> list[str]:
    """The captions of `batch` with each word left out with probability `drop_words`; where that
    would leave none, the one that was nearest to staying stays."""
    if not config.drop_words:
        return batch.captions
    draws = _uniforms("words", batch, seed, step, MAX_WORDS)
    rows = zip(batch.captions, draws.tolist(), strict=True)
    return [_thinned(caption, row, config.drop_words) for caption, row in rows]


def names_a_colour(caption: str) -> bool:
    """Whether changed colours could make `caption` wrong."""
    return not COLOUR_WORDS.isdisjoint(re.findall(r"[a-z]+", caption.lower()))


def _thinned(caption: str, draws: list[float], share: float) -> str:
    words = caption.split(" ")
    draws = draws + [1.0] * (len(words) - len(draws))
    least = min(share, max(draws[: len(words)]))
    return " ".join(word for word, u in zip(words, draws, strict=False) if u >= least).strip(",")


def _generators(what: str, batch: Batch, seed: int, step: int) -> list[torch.Generator]:
    ids = zip(batch.epochs.tolist(), batch.sample_ids.tolist(), strict=True)
    return [generator(what, seed, step, epoch, sample_id) for epoch, sample_id in ids]


def _uniforms(what: str, batch: Batch, seed: int, step: int, count: int) -> Tensor:
    """(B, count) in [0, 1)."""
    generators = _generators(what, batch, seed, step)
    return torch.stack([torch.rand(count, generator=g) for g in generators])


def _placed(x: Tensor, draws: Tensor, config: AugmentConfig) -> Tensor:
    """Pictures scaled, turned and mirrored, in one pass. draws: (B, 3) in [-1, 1)."""
    scale = torch.exp(draws[:, 0] * math.log1p(config.zoom))
    angle = draws[:, 1] * math.radians(config.rotate)
    mirror = torch.where(draws[:, 2] < 0, -1.0, 1.0) if config.flip else torch.ones_like(scale)
    cos, sin, zero = angle.cos() / scale, angle.sin() / scale, torch.zeros_like(scale)
    rows = [mirror * cos, -sin, zero, mirror * sin, cos, zero]
    grid = F.affine_grid(torch.stack(rows, 1).view(-1, 2, 3), list(x.shape), align_corners=False)
    return _sample_bordered(x, grid)


def _sample_bordered(x: Tensor, grid: Tensor) -> Tensor:
    """grid_sample with borders repeated: no place lies beyond the middle of the outermost pixels.
    Its own padding_mode="border" is missing on MPS."""
    limit = 1 - 1 / x.shape[-1]
    return F.grid_sample(x, grid.clamp(-limit, limit), align_corners=False)


def _coloured(x: Tensor, draws: Tensor, strength: float) -> Tensor:
    """Pictures in [0, 1] with other colours; a row of draws (B, 4) that is 0 changes nothing."""
    brightness, contrast, saturation = (1 + strength * draws[:, :3]).T.view(3, -1, 1, 1)
    turned = _hue_rotation(draws[:, 3] * strength * math.pi / 2)
    grey = torch.tensor(GREY, device=x.device).expand(3, 3)
    matrix = contrast * (saturation * turned + (1 - saturation) * (grey @ turned))
    mean = (x.mean((2, 3)) @ grey.T)[:, :, None]
    changed = brightness * (matrix @ x.flatten(2) + (1 - contrast) * mean)
    return changed.clamp(0, 1).view_as(x)


def _hue_rotation(angle: Tensor) -> Tensor:
    """(B, 3, 3) rotations of RGB about the grey axis (Rodrigues)."""
    identity, mean = torch.eye(3, device=angle.device), angle.new_full((3, 3), 1 / 3)
    cross = angle.new_tensor([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    cos, sin = angle.cos().view(-1, 1, 1), angle.sin().view(-1, 1, 1)
    return cos * identity + (1 - cos) * mean + sin * cross


def _cut_out(x: Tensor, draws: Tensor, share: float) -> Tensor:
    """Pictures whose square, wholly inside, has their mean colour. draws: (B, 2) in
    [0, 1), its place."""
    side = x.shape[-1]
    length = round(share * side)
    first = (draws * (side - length + 1)).floor()
    at = torch.arange(side, device=x.device)
    inside = (at >= first[..., None]) & (at < first[..., None] + length)  # (B, 2, S)
    square = inside[:, None, 0, :, None] & inside[:, None, 1, None, :]
    return torch.where(square, x.mean((2, 3), keepdim=True), x)
