"""Text that enters through cross-attention alone is learned in a short training."""

from __future__ import annotations

import pytest
import torch

from textdiff.clip import ClipModel
from textdiff.clip.config import ClipConfig
from textdiff.diffusion.config import ObjectiveConfig
from textdiff.diffusion.objective import Objective
from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.models import UNet, UNetConfig
from textdiff.pipeline import ModelConfig, TextToImage
from textdiff.pipeline.config import SamplingConfig

SIDE, STEPS, BATCH = 8, 250, 32
COLOURS = {
    "red": (1, -1, -1), "green": (-1, 1, -1), "blue": (-1, -1, 1), "yellow": (1, 1, -1),
    "pink": (1, -1, 1), "cyan": (-1, 1, 1), "black": (-1, -1, -1), "white": (1, 1, 1),
}  # fmt: skip
SHAPES = {"square": (slice(1, 7), slice(1, 7)), "bar": (slice(3, 5), slice(0, 8))}


def picture(colour: str, shape: str) -> torch.Tensor:
    image = torch.zeros(3, SIDE, SIDE)  # on grey
    rows, columns = SHAPES[shape]
    image[:, rows, columns] = torch.tensor(COLOURS[colour]).float()[:, None, None]
    return image


@pytest.fixture(scope="module")
def model() -> TextToImage:
    """A U-Net without the pooled feature, trained on the words of a CLIP of random weights."""
    tower = {"context_length": 8, "width": 32, "heads": 2, "layers": 1}
    image = {"image_size": 8, "patch_size": 8, "width": 32, "heads": 2, "layers": 1}
    clip = ClipModel.build(ClipConfig(image=image, text=tower, embed_dim=16), seed=0).freeze()
    unet = UNetConfig(
        image_size=SIDE,
        block_channels=(32, 32),
        attention=(False, True),
        layers_per_block=1,
        head_dim=16,
        norm_groups=8,
        cross_attention_dim=clip.text_width,
    )
    config = ModelConfig(clip="random", prediction="v", unet=unet)
    torch.manual_seed(0)
    pipe = TextToImage(UNet(unet), clip, config)
    names = [(colour, shape) for colour in COLOURS for shape in SHAPES]
    pictures = torch.stack([picture(*name) for name in names])
    text = clip.conditioning([" ".join(name) for name in names], 4)
    schedule = pipe.schedule
    assert isinstance(schedule, NoiseSchedule)
    objective = Objective(ObjectiveConfig(), "v", schedule)
    optimizer = torch.optim.AdamW(pipe.unet.parameters(), lr=3e-3)
    for step in range(STEPS):
        generator = torch.Generator().manual_seed(step)
        rows = torch.randint(len(names), (BATCH,), generator=generator)
        timestep = torch.randint(1000, (BATCH,), generator=generator)
        x_0, eps = pictures[rows], torch.randn(BATCH, 3, SIDE, SIDE, generator=generator)
        x_t = schedule.add_noise(x_0, eps, timestep)
        output = pipe.unet(x_t, timestep, text[rows])
        loss = objective(output, x_0, eps, x_t, timestep)["loss"].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return pipe.freeze()


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_swapping_the_colour_in_the_prompt_swaps_it_in_the_picture(model, shape):
    prompts = [f"{colour} {shape}" for colour in COLOURS]
    plan = model.plan(prompts, SamplingConfig(num_steps=10, guidance_scale=1.0, seed=3))
    drawn = model.draw(plan).float() / 127.5 - 1
    rows, columns = SHAPES[shape]
    inside = drawn[:, :, rows, columns].mean((2, 3))
    wanted = torch.tensor(list(COLOURS.values())).float()
    nearest = torch.cdist(inside, wanted).argmin(1)
    assert (nearest == torch.arange(len(COLOURS))).sum() >= 7, nearest
