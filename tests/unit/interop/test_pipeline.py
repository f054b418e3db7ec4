"""Exported folders draw the pictures that ours draws from the same noise."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DiffusionPipeline,
    DPMSolverMultistepScheduler,
)
from PIL import Image

from tests.helpers.diffusers_noise import PLAYED_BACK, draw_ours, save_draws
from textdiff.clip.config import ClipConfig
from textdiff.clip.model import ClipModel
from textdiff.diffusion import ScheduleConfig
from textdiff.errors import UsageError
from textdiff.interop import pipeline_to_diffusers
from textdiff.models import UNet, UNetConfig
from textdiff.pipeline import ModelConfig, TextToImage
from textdiff.sampling import timestep_grid

PROMPTS = ["a red circle", "two green “squares”"]
NEGATIVE = "a blue cross"
SEED = 1  # with some noise rounding decides on which side of a clamp a pixel falls
UNET = {
    "image_size": 16,
    "block_channels": (8, 16),
    "attention": (False, True),
    "layers_per_block": 1,
    "head_dim": 8,
    "norm_groups": 4,
    "cross_attention_dim": 32,
}

# A grid whose last timestep is above 0, with betas that no textdiff schedule has given.
TRAILING = {"num_train_timesteps": 100, "beta_start": 0.001, "timestep_spacing": "trailing"}


@pytest.fixture(scope="module")
def clip() -> ClipModel:
    image = {"image_size": 16, "patch_size": 8, "width": 32, "heads": 2, "layers": 1}
    text = {"context_length": 12, "width": 32, "heads": 2, "layers": 1}
    return ClipModel.build(ClipConfig(image=image, text=text, embed_dim=24), seed=0)


def model(
    clip: ClipModel,
    prediction: str = "v",
    pooled: bool = True,
    text_layers: tuple[int, ...] = (-1,),
    **unet,
) -> TextToImage:
    """A tiny model with random weights, none of them zero."""
    torch.manual_seed(0)
    widths = {
        "cross_attention_dim": clip.text_width * len(text_layers),
        "pooled_dim": clip.embed_dim if pooled else None,
    }
    config = ModelConfig(
        clip="nowhere",
        text_layers=text_layers,
        prediction=prediction,
        schedule=ScheduleConfig(name="linear", num_timesteps=100),
        unet=UNetConfig(**{**UNET, **unet, **widths}),
    )
    network = UNet(config.unet)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2 if parameter.ndim > 1 else 0.5)
    return TextToImage(network, clip, config).freeze()


def assert_same_pictures(found: list[Image.Image], expected: list[Image.Image]) -> None:
    """Within a grey level, which few pixels differ by. The pictures are not all black or white."""
    found, expected = (np.stack([np.asarray(p, int) for p in each]) for each in (found, expected))
    assert ((expected > 5) & (expected < 250)).mean() > 0.05
    assert np.abs(found - expected).max() <= 1
    assert (found != expected).mean() < 0.01


@pytest.fixture
def load(tmp_path, monkeypatch):
    """`loaded`, its cache of pipeline files in a temporary folder."""
    cache_in(tmp_path / "modules", monkeypatch)
    return loaded


def loaded(folder: Path) -> DiffusionPipeline:
    """As users of diffusers load it."""
    pipe = DiffusionPipeline.from_pretrained(folder, trust_remote_code=True)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def cache_in(folder: Path, patch: pytest.MonkeyPatch) -> None:
    from diffusers.utils import dynamic_modules_utils

    patch.setattr(dynamic_modules_utils, "HF_MODULES_CACHE", str(folder))


@pytest.fixture(scope="module")
def both(clip, tmp_path_factory) -> tuple[TextToImage, DiffusionPipeline]:
    """A model, and what it is after export and loading; for tests that change neither."""
    ours, folder = model(clip), tmp_path_factory.mktemp("exported")
    pipeline_to_diffusers(ours, folder / "out")
    with pytest.MonkeyPatch.context() as patch:
        cache_in(folder / "modules", patch)
        return ours, loaded(folder / "out")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "export", "draw"),
    [
        ({}, {}, {}),
        ({"prediction": "eps", "pooled": False}, {"sampler": "dpmpp"}, {"guidance_scale": 1.0}),
        ({"patch_size": 2}, {"sampler": "dpmpp_sde", "clip": False}, {"threshold": "none"}),
        ({"prediction": "x_0", "learned_variance": True}, {}, {"eta": 0.5}),
        ({"learned_variance": True, "patch_size": 2}, {"sampler": "ddpm"}, {}),
        ({}, {"sampler": "ddpm", "variance": "fixed_large"}, {"variance": "fixed_large"}),
        ({"text_layers": (0, -1)}, {}, {}),
        ({"text_layers": (0,), "pooled": False}, {}, {}),
    ],
    ids=[
        "pooled",
        "no pooled feature, no guidance",
        "patches, noise at each step, no threshold",
        "learned variance unused",
        "learned variance and patches",
        "noise that the last step leaves out",
        "two layers of the text tower",
        "the words before any layer",
    ],
)
def test_bundled_pictures(clip, load, tmp_path, options, export, draw, monkeypatch):
    ours = model(clip, **options)
    pipeline_to_diffusers(ours, tmp_path / "out", **export)
    settings = {"guidance_scale": 3.0, "eta": 0.0, **draw}
    common = {"guidance_scale": settings["guidance_scale"], "eta": settings["eta"]}
    theirs = load(tmp_path / "out")
    draw_ours(monkeypatch, seed=SEED)
    found = theirs(PROMPTS, NEGATIVE, num_inference_steps=10, **common).images
    settings["sampler"] = export.get("sampler", "ddim")
    expected = ours(PROMPTS, num_steps=10, negative_prompt=NEGATIVE, seed=SEED, **settings)
    assert_same_pictures(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["ddim", "ddpm", "dpmpp"])
def test_numbers_of_steps_that_do_not_divide_the_chain(clip, load, tmp_path, sampler, monkeypatch):
    """Of 100; at 29 diffusers' own grid has 30 timesteps, the last of them -1."""
    ours = model(clip)
    pipeline_to_diffusers(ours, tmp_path / "out", sampler=sampler)
    theirs = load(tmp_path / "out")
    for steps in (3, 7, 9, 29):
        with monkeypatch.context() as patch:
            draw_ours(patch, seed=SEED)
            found = theirs(PROMPTS, num_inference_steps=steps).images
        expected = ours(PROMPTS, num_steps=steps, sampler=sampler, seed=SEED, guidance_scale=3.0)
        assert_same_pictures(found, expected)


@pytest.mark.slow
def test_the_visited_timesteps(both):
    ours, pipe = both
    for steps in range(1, 101):
        chain, visited = pipe.steps(steps)
        assert torch.equal(visited.flip(0), timestep_grid(ours.schedule, steps))
        assert chain.timesteps.tolist() == [*range(steps)][::-1]
        respaced = ours.schedule.respaced(visited.flip(0))
        torch.testing.assert_close(chain.alphas_cumprod.double(), respaced.alphas_cumprod)
    for steps in (0, 101):
        with pytest.raises(
            ValueError, match=rf"num_inference_steps is {steps}, must lie in 1..100"
        ):
            pipe(PROMPTS, num_inference_steps=steps)


def test_another_scheduler_takes_its_own_steps(clip, load, tmp_path):
    pipeline_to_diffusers(model(clip), tmp_path / "out")
    pipe = load(tmp_path / "out")
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config, timestep_spacing="leading")
    scheduler, visited = pipe.steps(4)
    assert scheduler is pipe.scheduler and visited.tolist() == [75, 50, 25, 0]
    pipe.scheduler = DPMSolverMultistepScheduler.from_config(
        pipe.scheduler.config, timestep_spacing="trailing", use_karras_sigmas=True
    )
    assert pipe.steps(4)[0] is pipe.scheduler
    assert len(pipe(PROMPTS, num_inference_steps=4).images) == 2


@pytest.mark.parametrize(
    ("scheduler", "steps"),
    [
        (DDPMScheduler(**TRAILING, variance_type="fixed_large"), 4),
        (DDIMScheduler(**TRAILING), 6),
    ],
    ids=["noise that the last step adds", "a last step from 16 to 0"],
)
def test_the_picture_is_free_of_noise_that_another_scheduler_leaves(
    clip, load, tmp_path, monkeypatch, scheduler, steps
):
    """Its last step's x_0_hat, which differs from the sample that the step goes on to."""
    pipeline_to_diffusers(model(clip), tmp_path / "out")
    pipe = load(tmp_path / "out")
    pipe.scheduler, taken = scheduler, []
    take = type(scheduler).step
    monkeypatch.setattr(
        type(scheduler), "step", lambda *a, **k: taken.append(take(*a, **k)) or taken[-1]
    )
    (found,) = pipe(PROMPTS, num_inference_steps=steps, output_type="pt", return_dict=False)
    assert pipe.steps(steps)[0] is scheduler and scheduler.timesteps[-1] > 0
    assert torch.equal(found, taken[-1].pred_original_sample)
    assert (found - taken[-1].prev_sample).std() > 0.01


@pytest.mark.slow
def test_prompts_that_do_not_fit_are_cut_there_too(both, monkeypatch):
    (ours, theirs), long = both, "one " * 12 + "end"
    draw_ours(monkeypatch, seed=SEED)
    with pytest.warns(UserWarning, match="1 of 2 prompts cut to 12 tokens, the first 'one one"):
        found = theirs(long, num_inference_steps=10).images
    assert_same_pictures(found, ours(long, num_steps=10, seed=SEED))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("negative", "ours"), [(None, ""), ([NEGATIVE, ""], None), ((NEGATIVE, NEGATIVE), NEGATIVE)]
)
def test_negative_prompts_of_each_form(both, negative, ours):
    """One for all, one per prompt, or none; a list or None used to end in a TypeError."""
    pipe, draw = both
    found = draw(PROMPTS, negative, num_inference_steps=4, latents=pipe.noise(2)).images
    if ours is not None:
        expected = pipe(PROMPTS, num_steps=4, negative_prompt=ours, seed=0)
    else:
        expected = [
            pipe(prompt, num_steps=4, negative_prompt=each, seed=0, first=k)[0]
            for k, (prompt, each) in enumerate(zip(PROMPTS, negative, strict=True))
        ]
    assert_same_pictures(found, expected)


def test_negative_prompts_that_are_not_one_each(both):
    with pytest.raises(ValueError, match="1 negative prompts for 2 prompts"):
        both[1](PROMPTS, [NEGATIVE])


@pytest.mark.slow
def test_our_noise_as_latents(both):
    ours, pipe = both
    latents = ours.noise(2, seed=5, first=7)
    found = pipe(PROMPTS, num_inference_steps=4, latents=latents).images
    assert_same_pictures(found, ours(PROMPTS, num_steps=4, seed=5, first=7))
    with pytest.raises(
        ValueError, match=r"latents are \(2, 3, 16, 16\), these prompts take \(1, 3"
    ):
        pipe(PROMPTS[:1], latents=latents)


@pytest.mark.slow
def test_a_saved_copy_loads_again(clip, load, tmp_path):
    """diffusers alone writes a folder without the pipeline that it names."""
    ours = model(clip, patch_size=2)
    pipeline_to_diffusers(ours, tmp_path / "out")
    load(tmp_path / "out").save_pretrained(tmp_path / "copy")
    pipe = load(tmp_path / "copy")
    pipe.save_pretrained(tmp_path / "copy of the copy")
    found = load(tmp_path / "copy of the copy")(
        PROMPTS, num_inference_steps=4, latents=ours.noise(2)
    )
    assert_same_pictures(found.images, ours(PROMPTS, num_steps=4, seed=0))


HIDE_TEXTDIFF = 'import sys\nsys.modules["textdiff"] = None\n'
DRAW = """
images = pipe({prompt}, guidance_scale=3.0, num_inference_steps=10, output_type="pt").images
numpy.save("drawn.npy", images.numpy())
"""


def readme_script(folder: Path, prompt: str) -> str:
    """The lines of the folder's README, then the first picture of our seed 0, run in the folder."""
    lines = re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)[1]
    save_draws(folder / "noise.npy", (3, 16, 16), draws=64)
    draw = PLAYED_BACK.format(file="noise.npy") + DRAW.format(prompt=prompt)
    return f"import os, torch\nos.chdir({str(folder)!r})\nFOLDER = '.'\n{lines}{draw}"


@pytest.mark.slow
def test_the_readmes_where_there_is_no_textdiff(clip, tmp_path):
    models = {"bundled": model(clip), "stock": model(clip, pooled=False)}
    prompts = {
        "bundled": "'a red apple'",
        "stock": "prompt_embeds=prompt, negative_prompt_embeds=negative",
    }
    script = HIDE_TEXTDIFF
    for kind, ours in models.items():
        pipeline_to_diffusers(ours, tmp_path / kind, kind)
        script += readme_script(tmp_path / kind, prompts[kind])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HOME": str(tmp_path / "cache")}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for kind, sampler in {"bundled": "ddim", "stock": "ddpm"}.items():
        drawn = np.load(tmp_path / kind / "drawn.npy")[0].transpose(1, 2, 0)
        settings = {"num_steps": 10, "sampler": sampler, "guidance_scale": 3.0, "seed": 0}
        expected = models[kind]("a red apple", **settings)
        assert_same_pictures([((drawn.clip(-1, 1) + 1) * 127.5).round()], expected)
        with Image.open(tmp_path / kind / "apple.png") as picture:
            assert picture.size == (16, 16)


@pytest.mark.parametrize(("sampler", "learned"), [("ddpm", False), ("dpmpp", True)])
def test_stock_pictures(clip, load, tmp_path, sampler, learned, monkeypatch):
    """Prompts of unlike length, the README's way; a variance that IFPipeline cuts off."""
    ours = model(clip, pooled=False, learned_variance=learned)
    pipeline_to_diffusers(ours, tmp_path, "stock", sampler, "fixed_small")
    tokens = clip.conditioning(["a red circle", ""])
    rows = [row[mask] for row, mask in zip(tokens.tokens, tokens.mask, strict=True)]
    prompt, negative = (row.repeat(10 // len(row), 1)[None] for row in rows)
    theirs = load(tmp_path)
    draw_ours(monkeypatch)
    found = theirs(
        prompt_embeds=prompt,
        negative_prompt_embeds=negative,
        num_inference_steps=10,
        guidance_scale=3.0,
    ).images
    settings = {"num_steps": 10, "sampler": sampler}
    if sampler == "ddpm":
        settings["variance"] = "fixed_small"
    assert_same_pictures(found, ours("a red circle", guidance_scale=3.0, seed=0, **settings))


def test_stock_with_plain_prompts_is_an_error_not_another_picture(clip, load, tmp_path):
    pipeline_to_diffusers(model(clip, pooled=False), tmp_path, "stock")
    with pytest.raises(TypeError):
        load(tmp_path)("a red circle")


@pytest.mark.parametrize(
    ("options", "export", "message"),
    [
        ({}, {}, "no pooled text feature.*--use-pooled false"),
        ({"pooled": False, "patch_size": 2}, {}, "patch_size 2"),
        ({"pooled": False}, {"sampler": "ddim"}, "--sampler ddpm or dpmpp"),
        ({"pooled": False, "in_channels": 2}, {}, "1 or 3 channels"),
        ({"pooled": False, "text_layers": (0, -1)}, {}, r"text_layers \[0, -1\]; train with -1"),
    ],
    ids=["pooled", "patches", "clipped ddim", "channels", "layers"],
)
def test_what_the_stock_pipeline_cannot_run_is_refused(clip, tmp_path, options, export, message):
    with pytest.raises(UsageError, match=message):
        pipeline_to_diffusers(model(clip, **options), tmp_path / "out", "stock", **export)
    assert not (tmp_path / "out").exists()


def test_a_learned_variance_that_is_not_there_is_refused(clip, tmp_path):
    with pytest.raises(UsageError, match="variance learned"):
        pipeline_to_diffusers(model(clip), tmp_path, sampler="ddpm", variance="learned")


@pytest.mark.parametrize("kind", ["bundled", "stock"])
def test_an_unclip_decoder_is_refused_by_what_diffusers_lacks(clip, tmp_path, kind):
    pipe = model(clip, pooled=False)
    pipe.unet = UNet(pipe.unet.config.model_copy(update={"image_dim": 24}))
    with pytest.raises(UsageError, match=r"unet.image_dim 24: diffusers' U-Net takes no embedding"):
        pipeline_to_diffusers(pipe, tmp_path / "out", kind)
    assert not (tmp_path / "out").exists()


def test_a_schedule_of_another_diffusion_is_refused(clip, tmp_path):
    pipe = model(clip)
    pipe.config = pipe.config.model_copy(update={"process": "binary"})
    with pytest.raises(UsageError, match="black-and-white"):
        pipeline_to_diffusers(pipe, tmp_path)


@pytest.mark.slow
def test_an_export_that_fails_leaves_no_folder_that_loads(clip, tmp_path, monkeypatch):
    pipeline_to_diffusers(model(clip), tmp_path)
    monkeypatch.setattr("textdiff.interop.pipeline.unet_to_diffusers", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        pipeline_to_diffusers(model(clip), tmp_path)
    assert not (tmp_path / "model_index.json").exists()


def test_files_and_formats(clip, tmp_path):
    pipeline_to_diffusers(model(clip), tmp_path)
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert {"model_index.json", "pipeline.py", "unet/diffusion_pytorch_model.safetensors"} <= files
    assert {"text_encoder/model.safetensors", "scheduler/scheduler_config.json"} <= files
    assert not [name for name in files if name.endswith((".bin", ".pt", ".pkl"))]
    index = json.loads((tmp_path / "model_index.json").read_text())
    assert index["_class_name"] == ["pipeline", "TextDiffPipeline"]
