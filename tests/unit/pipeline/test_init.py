"""Pictures to start from: how they are read, what strength and mask do to what is drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from tests.helpers.shapes import draw_shape
from textdiff import TextToImage
from textdiff.data import DataConfig, decode_image
from textdiff.errors import UsageError
from textdiff.pipeline.gaussian import SAMPLERS
from textdiff.pipeline.init import Init

SETTINGS = {"num_steps": 10, "seed": 1}
APPLE = draw_shape("red", "circle")
RIGHT_HALF = Image.new("L", (16, 16), 0)
ImageDraw.Draw(RIGHT_HALF).rectangle((8, 0, 15, 15), fill=255)


def drawn(pipe: TextToImage, prompts="green cross", **settings) -> np.ndarray:
    pictures = pipe(prompts, **{**SETTINGS, **settings})
    return np.stack([np.asarray(picture) for picture in pictures]).astype(int)


# Reading


def gradient(width: int, height: int) -> Image.Image:
    across = np.linspace(0, 255, width, dtype=np.uint8)
    pixels = np.stack([np.tile(across, (height, 1))] * 3, axis=-1)
    pixels[..., 1] = np.linspace(0, 255, height, dtype=np.uint8)[:, None]
    return Image.fromarray(pixels)


def test_picture_is_cut_as_the_data_room_cuts_it(tmp_path):
    picture = gradient(60, 40)
    picture.save(tmp_path / "a.png")
    expected = decode_image(tmp_path / "a.png", DataConfig(image_size=16))
    assert torch.equal(Init.from_pictures(picture, None, None, 16).picture, expected)


def test_transparent_parts_are_white():
    clear = Image.new("RGBA", (16, 16), (9, 9, 9, 0))
    assert (Init.from_pictures(clear, None, None, 16).picture == 255).all()


def test_tensor_is_read_as_the_picture_it_holds():
    picture = gradient(16, 16)
    tensor = torch.from_numpy(np.array(picture)).permute(2, 0, 1)
    found = Init.from_pictures(tensor, tensor, None, 16)
    expected = Init.from_pictures(picture, picture, None, 16)
    assert torch.equal(found.picture, expected.picture)
    assert torch.equal(found.redraw, expected.redraw)


def test_mask_is_cut_with_the_picture():
    picture, mask = Image.new("RGB", (60, 40)), Image.new("L", (60, 40), 0)
    ImageDraw.Draw(picture).rectangle((30, 20, 59, 39), fill="white")
    ImageDraw.Draw(mask).rectangle((30, 20, 59, 39), fill=255)
    init = Init.from_pictures(picture, mask, None, 16)
    assert init.redraw.sum() == 64
    assert (init.picture[:, init.redraw[0]] > 127).all()
    assert (init.picture[:, ~init.redraw[0]] < 128).all()


@pytest.mark.parametrize(("grey", "anew"), [(0, False), (127, False), (128, True), (255, True)])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_mask_is_white_from_the_middle_grey_on(grey, anew, mode):
    mask = Image.new("L", (16, 16), grey).convert(mode)
    assert (Init.from_pictures(APPLE, mask, None, 16).redraw == anew).all()


@pytest.mark.parametrize(
    ("mask", "strength", "expected"),
    [(None, None, 0.6), (RIGHT_HALF, None, 1.0), (None, 0.3, 0.3), (RIGHT_HALF, 0.3, 0.3)],
)
def test_strength_unless_given(mask, strength, expected):
    assert Init.from_pictures(APPLE, mask, strength, 16).strength == expected


@pytest.mark.parametrize(
    ("strength", "kept"),
    [
        (0.001, [0]),
        (0.01, [0]),
        (0.04, [3]),
        (0.06, [5]),
        (0.2, [5, 19]),
        (0.5, [5, 19, 49]),
        (0.999, [5, 19, 60, 99]),
        (1, [5, 19, 60, 99]),
    ],
)
def test_strength_is_a_share_of_the_forward_process(strength, kept):
    """And so starts from the same noise on every grid, however coarse."""
    init = Init(torch.zeros(3, 16, 16), strength)
    assert init.kept_steps(torch.tensor([5, 19, 60, 99]), 100).tolist() == kept


def test_listed_timesteps_are_kept_as_they_are():
    init, grid = Init(torch.zeros(3, 16, 16), 0.5), torch.tensor([5, 19, 60, 99])
    assert init.kept_steps(grid, 100, listed=True).tolist() == [5, 19]
    with pytest.raises(UsageError, match=r"goes back to timestep 1, below all .* above 0\.05"):
        Init(init.picture, 0.02).kept_steps(grid, 100, listed=True)


@pytest.mark.parametrize("place", [(0, 250, 511, 257), (100, 37, 100, 37), (508, 0, 511, 511)])
@pytest.mark.parametrize("mode", ["L", "RGBA"])
def test_whatever_a_mask_touches_is_drawn_anew(place, mode):
    """A line of 8 pixels on 512 vanished at 32; so does a single pixel by any average in bytes."""
    picture, mask = Image.new("RGB", (512, 512)), Image.new("L", (512, 512), 0)
    ImageDraw.Draw(mask).rectangle(place, fill=255)
    if mode == "RGBA":
        alpha, mask = mask, Image.new("RGBA", (512, 512), (0, 0, 0, 0))
        mask.paste((9, 9, 9, 255), mask=alpha)
    left, top, right, bottom = (end // 16 for end in place)
    expected = torch.zeros(1, 32, 32, dtype=torch.bool)
    expected[:, top : bottom + 1, left : right + 1] = True
    assert torch.equal(Init.from_pictures(picture, mask, None, 32).redraw, expected)


@pytest.mark.parametrize(
    ("strokes", "anew"),
    [
        (["black"], [True]),
        (["white"], [True]),
        (["red", "yellow"], [True, True]),
        (["black", "white"], [False, True]),
    ],
)
def test_strokes_on_a_transparent_canvas(strokes, anew):
    """Laid on white, as pictures are, all of it would be drawn anew."""
    mask = Image.new("RGBA", (16, 16), (255, 255, 255, 0))
    for k, colour in enumerate(strokes):
        mask.paste(colour, (4 * k, 0, 4 * k + 2, 16))
    redraw = Init.from_pictures(APPLE, mask, None, 16).redraw[0].all(0)
    assert [bool(redraw[4 * k]) for k in range(len(strokes))] == anew
    assert not redraw[8:].any()


@pytest.mark.parametrize(
    ("init_image", "mask", "expected"),
    [
        (None, RIGHT_HALF, "^a mask without an init image; give the picture it is"),
        (APPLE, Image.new("L", (8, 16)), "^the mask is 8x16, the init image 16x16; give a mask"),
        (torch.zeros(3, 16, 16), None, r"init_image is a tensor \(3, 16, 16\) of torch.float32"),
        (APPLE, torch.zeros(1, 16, 16), r"mask is a tensor \(1, 16, 16\)"),
    ],
)
def test_what_cannot_be_started_from(pipe, init_image, mask, expected):
    with pytest.raises(UsageError, match=expected):
        pipe("red", init_image=init_image, mask=mask)


# Image to image


def test_network_sees_the_least_noisy_steps_alone(pipe):
    seen = []
    pipe.unet.register_forward_pre_hook(lambda _unet, inputs: seen.append(inputs[1].unique()))
    drawn(pipe, init_image=APPLE, strength=0.3)
    assert torch.cat(seen).tolist() == [29, 19, 9]


def test_network_first_sees_the_noised_picture(pipe):
    seen = []
    pipe.unet.register_forward_pre_hook(lambda _unet, inputs: seen.append(inputs[0]))
    drawn(pipe, init_image=APPLE, strength=0.3, guidance_scale=1.0)
    image = pipe.codec.encode(Init.from_pictures(APPLE, None, 0.3, 16).picture[None])
    ac = float(pipe.schedule.alphas_cumprod[29])
    eps = (seen[0][0] - ac**0.5 * image) / (1 - ac) ** 0.5
    assert float(eps.mean()) == pytest.approx(0, abs=0.2)
    assert float(eps.std()) == pytest.approx(1, abs=0.1)


def test_small_strengths_draw_different_pictures(pipe):
    """From 0.001 to 0.1 they were one at 10 steps."""
    pictures = [drawn(pipe, init_image=APPLE, strength=s, seed=2) for s in (0.01, 0.03, 0.06, 0.1)]
    picture = np.asarray(APPLE).astype(int)
    away = [np.abs(each - picture).mean() for each in pictures]
    assert sorted(set(away)) == away


def test_the_stronger_the_further_from_the_picture(pipe):
    picture = np.asarray(APPLE).astype(int)
    away = [
        np.abs(drawn(pipe, init_image=APPLE, strength=strength) - picture).mean()
        for strength in (0.1, 0.4, 0.7, 1.0)
    ]
    assert away == sorted(away)
    assert away[0] < 25 < away[-1]


def test_full_strength_from_pure_noise_is_text_to_image(pipe):
    """With zero terminal SNR nothing of the picture is left at the start."""
    schedule = pipe.config.schedule.model_copy(update={"zero_terminal_snr": True})
    config = pipe.config.model_copy(update={"prediction": "v", "schedule": schedule})
    pure = TextToImage(pipe.unet, pipe.clip, config)
    assert np.array_equal(drawn(pure, init_image=APPLE, strength=1.0), drawn(pure))


@pytest.mark.slow
@pytest.mark.parametrize("mask", [None, RIGHT_HALF])
@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
def test_batch_size_changes_no_picture(pipe, sampler, mask):
    usual = {"sampler": sampler, "init_image": APPLE, "mask": mask, "num_images": 3}
    difference = drawn(pipe, **usual, batch_size=1) - drawn(pipe, **usual, batch_size=3)
    assert np.abs(difference).max() <= 1


# Inpainting


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_known_pixels_stay_to_the_bit(pipe, sampler, strength):
    found = drawn(pipe, init_image=APPLE, mask=RIGHT_HALF, sampler=sampler, strength=strength)
    picture = np.asarray(APPLE).astype(int)
    assert np.array_equal(found[0, :, :8], picture[:, :8])
    assert not np.array_equal(found[0, :, 8:], picture[:, 8:])


def test_black_mask_keeps_every_level_of_grey(pipe):
    levels = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).convert("RGB")
    found = drawn(pipe, init_image=levels, mask=Image.new("L", (16, 16), 0))
    assert np.array_equal(found[0], np.asarray(levels))


def test_white_mask_is_image_to_image(pipe):
    white = Image.new("L", (16, 16), 255)
    usual = {"init_image": APPLE, "strength": 0.7}
    assert np.array_equal(drawn(pipe, **usual, mask=white), drawn(pipe, **usual))
