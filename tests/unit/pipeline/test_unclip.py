"""What an unCLIP decoder draws: whose embedding, guided away from what, and again from its PNG."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.helpers.unets import remade
from textdiff import TextToImage
from textdiff.commands.cli import run
from textdiff.embeddings import scaled_feature, slerp
from textdiff.errors import CheckpointError
from textdiff.pipeline.config import SamplingConfig
from textdiff.pipeline.origin import read_origin
from textdiff.pipeline.prior import Prior
from textdiff.pipeline.unclip import picture_embedding, text_embeddings, varied_embedding

FEW = {"num_steps": 3, "guidance_scale": 1.0}


@pytest.fixture(scope="session")
def decoder(tiny_decoder) -> TextToImage:
    return TextToImage.load(tiny_decoder, "cpu")


@pytest.fixture
def picture() -> Image.Image:
    generator = torch.Generator().manual_seed(5)
    levels = torch.randint(0, 256, (20, 20, 3), dtype=torch.uint8, generator=generator)
    return Image.fromarray(levels.numpy())


# On the sphere


def unit(*values: float) -> torch.Tensor:
    return F.normalize(torch.tensor(values, dtype=torch.float64), dim=0)


def test_slerp_turns_by_its_share_of_the_angle():
    start, end = unit(1, 0, 0), unit(0, 1, 0)
    for share in (0.0, 0.25, 0.5, 1.0):
        angle = share * math.pi / 2
        expected = torch.tensor([math.cos(angle), math.sin(angle), 0.0], dtype=torch.float64)
        torch.testing.assert_close(slerp(start, end, share), expected)


@given(st.integers(0, 100), st.integers(2, 9), st.floats(0, 1))
def test_slerp_stays_on_the_sphere_and_is_the_same_the_other_way_round(seed, dim, share):
    rng = torch.Generator().manual_seed(seed)
    start, end = F.normalize(torch.randn(2, 4, dim, dtype=torch.float64, generator=rng), dim=-1)
    found = slerp(start, end, share)
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(4, dtype=torch.float64))
    torch.testing.assert_close(found, slerp(end, start, 1 - share))


def test_slerp_between_close_ends_is_a_straight_line():
    start = unit(1, 1e-5, 0)
    torch.testing.assert_close(slerp(start, start, 0.3), start)


def test_slerp_between_opposite_ends_is_refused():
    with pytest.raises(ValueError, match="opposite"):
        slerp(unit(1, 0), unit(-1, 0), 0.5)


# Whose embedding


def test_a_picture_gives_its_own_embedding(decoder, picture):
    plan = decoder.plan_from(["", ""], SamplingConfig(**FEW), vary=picture)
    own = picture_embedding(decoder.clip, "vary", picture)
    assert torch.equal(plan.image, own.expand(2, -1))
    first, second = decoder(["", ""], vary=picture, **FEW)
    assert first.tobytes() != second.tobytes()  # of different noise


def test_a_share_goes_from_one_picture_to_another(decoder, picture):
    other = picture.rotate(90).point(lambda level: 255 - level)
    ends = [picture_embedding(decoder.clip, "vary", each) for each in (picture, other)]
    for share in (0.0, 0.5, 1.0):
        config = SamplingConfig(share=share).unclip
        found = varied_embedding(decoder.clip, config, picture, other)
        torch.testing.assert_close(found, slerp(*ends, share))


def test_a_share_turns_a_picture_towards_the_difference_of_two_texts(decoder, picture):
    config = SamplingConfig(share=0.3, text_from="red circle", text_to="green cross").unclip
    before, after = text_embeddings(decoder.clip, ["red circle", "green cross"])
    own = picture_embedding(decoder.clip, "vary", picture)
    expected = slerp(own, F.normalize(after - before, dim=0), 0.3)
    torch.testing.assert_close(varied_embedding(decoder.clip, config, picture, None), expected)


def test_kept_noise_brings_the_picture_back(decoder, picture):
    """Where new noise does not: mean error in grey levels."""
    small = picture.resize((16, 16))
    settings = {"num_steps": 100, "guidance_scale": 1.0, "threshold": "none", "vary": small}
    smooth = remade(decoder)
    kept, new = (smooth("", keep_noise=keep, **settings)[0] for keep in (True, False))
    pixels = [
        torch.frombuffer(bytearray(each.tobytes()), dtype=torch.uint8).double()
        for each in (small, kept, new)
    ]
    errors = [(each - pixels[0]).abs().mean().item() for each in pixels[1:]]
    assert errors[0] < 0.2 * errors[1]


def test_pictures_are_seen_with_their_own_embedding_by_a_decoder_alone(decoder, pipe, picture):
    pixels = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    seen = decoder.conditioning_of(["red circle", ""], pixels)
    own = [picture_embedding(decoder.clip, "vary", each) for each in pixels]
    torch.testing.assert_close(seen.image, scaled_feature(torch.stack(own)))
    assert torch.equal(seen.tokens, decoder.conditioning(["red circle", ""]).tokens)
    assert pipe.conditioning_of(["red circle", ""], pixels).image is None


# Guided away from what


@pytest.mark.parametrize("over", ["both", "image", "caption"])
def test_guidance_pushes_away_from_what_it_is_said_to(decoder, over):
    """eps_hat = uncond + 3 (cond - uncond), with both sides asked of the network by themselves."""
    image = F.normalize(torch.ones(1, decoder.clip.embed_dim), dim=1)
    config = SamplingConfig(num_steps=1, guidance_scale=3.0, guidance_over=over, threshold="none")
    plan = decoder.plan("red circle", config, image=image)
    (step,) = decoder.steps(plan)
    x_T = decoder.noise()
    timestep = plan.grid[-1:]

    def x_0_of(prompt: str, shown: torch.Tensor) -> torch.Tensor:
        text = decoder.conditioning([prompt])
        conditioning = type(text)(text.tokens, text.pooled, text.mask, shown)
        with torch.no_grad():
            return decoder.denoiser(conditioning)(x_T, timestep).x_0

    given, nothing = scaled_feature(image), torch.zeros_like(image)
    cond = x_0_of("red circle", given)
    uncond = {
        "both": lambda: x_0_of("", nothing),
        "image": lambda: x_0_of("red circle", nothing),
        "caption": lambda: x_0_of("", given),
    }[over]()
    torch.testing.assert_close(step.x_0_hat, uncond + 3 * (cond - uncond), rtol=1e-3, atol=1e-3)


# From PNGs


def bytes_in(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.glob("0*.png"))]


@pytest.mark.slow
def test_a_picture_of_prior_and_decoder_is_drawn_again_to_the_bit(
    tmp_path, tiny_decoder, tiny_prior
):
    flags = ["--num-steps", "3", "--prior-steps", "3", "--prior", str(tiny_prior), "--seed", "5"]
    prompts = ["--prompt", "red circle", "green cross"]
    run(["sample", "--model", str(tiny_decoder), *prompts, *flags, "--out", str(tmp_path / "a")])
    second = sorted((tmp_path / "a").glob("0*.png"))[1]
    origin = read_origin(second)
    assert origin.prior_weights == Prior.load(tiny_prior, "cpu").weights_hash()
    run(["sample", "--from", str(second), "--out", str(tmp_path / "b")])
    assert bytes_in(tmp_path / "b") == bytes_in(tmp_path / "a")[1:]


@pytest.mark.slow
def test_a_row_of_shares_is_drawn_again_picture_by_picture(tmp_path, tiny_decoder, picture):
    paths = [tmp_path / "one.png", tmp_path / "other.png"]
    for path, each in zip(paths, (picture, picture.rotate(180)), strict=True):
        each.save(path)
    flags = ["--vary", str(paths[0]), "--vary-to", str(paths[1]), "--shares", "0", "0.5", "1"]
    flags += ["--num-steps", "3", "--out", str(tmp_path / "row")]
    run(["sample", "--model", str(tiny_decoder), *flags])
    row = bytes_in(tmp_path / "row")
    assert len(set(row)) == 3
    for k, path in enumerate(sorted((tmp_path / "row").glob("0*.png"))):
        assert read_origin(path).config.unclip.share == (0, 0.5, 1)[k]
        run(["sample", "--from", str(path), "--out", str(tmp_path / f"again{k}")])
    again = [bytes_in(tmp_path / f"again{k}") for k in range(3)]
    assert list(itertools.chain(*again)) == row


@pytest.mark.slow
def test_a_prior_that_was_trained_on_is_noticed(tmp_path, tiny_decoder, tiny_prior):
    kept = tmp_path / "prior"
    prior = Prior.load(tiny_prior, "cpu")
    prior.save(kept)
    flags = ["--num-steps", "2", "--prior-steps", "2", "--prior", str(kept)]
    flags += ["--prompt", "red circle", "--out", str(tmp_path / "a")]
    run(["sample", "--model", str(tiny_decoder), *flags])
    next(iter(prior.network.parameters())).data.add_(0.1)
    prior.save(kept)
    (drawn,) = (tmp_path / "a").glob("0*.png")
    with pytest.raises(CheckpointError, match="has other weights than drew the embedding"):
        run(["sample", "--from", str(drawn), "--out", str(tmp_path / "b")])
