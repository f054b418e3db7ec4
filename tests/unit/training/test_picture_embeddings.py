"""unCLIP's decoder in training: which embedding a picture is shown with, and which files fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from tests.helpers.batches import batch_of, noise
from tests.helpers.prepared import decoder_flags
from textdiff import checkpoint
from textdiff.clip import ClipModel
from textdiff.clip.features import image_features
from textdiff.commands.cli import run
from textdiff.data import DataConfig, open_data
from textdiff.data.embeddings import read_embeddings, write_embeddings
from textdiff.errors import CheckpointError, DataError, UsageError
from textdiff.training.draws import draw, uniform_timesteps
from textdiff.training.picture_embeddings import PictureEmbeddings, load_picture_embeddings
from textdiff.training.tasks.diffusion import DiffusionTask

T_1000 = uniform_timesteps(1000)


@pytest.fixture
def flags(configs, shapes, tiny_clip, tiny_embeddings) -> list[str]:
    return decoder_flags(configs, shapes, tiny_clip, tiny_embeddings)


def test_embeddings_are_dropped_apart_from_captions_and_change_no_other_draw():
    keys = [(0, step, 0, 5) for step in range(2000)]
    without, found = draw(keys, (1,), T_1000, 0.5), draw(keys, (1,), T_1000, 0.5, 0.1)
    assert without.image_dropped is None
    assert torch.equal(without.eps, found.eps)
    assert without.dropped == found.dropped
    assert sum(found.image_dropped) == pytest.approx(200, abs=60)
    both = sum(a and b for a, b in zip(found.dropped, found.image_dropped, strict=True))
    assert both == pytest.approx(100, abs=45)  # of 2000: 0.5 x 0.1


@pytest.mark.parametrize(("image_drop", "share"), [(0.0, 1.0), (1.0, 0.0)])
def test_the_network_sees_the_embedding_of_its_picture(pipe, image_drop, share):
    embeddings = torch.randn(16, 8, generator=torch.Generator().manual_seed(1))
    seen = []

    def network(x_t, timestep, conditioning):
        seen.append(conditioning)
        return torch.zeros_like(x_t)

    task = DiffusionTask(
        pipe=pipe,
        embed=pipe.clip.conditioning,
        seed=0,
        caption_drop=0.5,
        pictures=PictureEmbeddings({"train": embeddings}),
        image_drop=image_drop,
    )
    batch = batch_of(noise(4))
    task.losses(network, replace(batch, sample_ids=torch.tensor([3, 9, 3, 0])), step=0)
    assert torch.equal(seen[0].image, share * embeddings[[3, 9, 3, 0]])


def test_no_picture_has_no_embedding():
    """As where no prompt is to be drawn during training."""
    embeddings = PictureEmbeddings({"train": torch.ones(3, 8)})
    assert embeddings.of("train", []).shape == (0, 8)


def test_a_file_gives_each_picture_its_own_embedding(shapes, tiny_clip, tiny_embeddings):
    clip = ClipModel.load(tiny_clip).freeze()
    config = DataConfig(source=str(shapes), image_size=clip.image_size)
    splits = [open_data(config, split) for split in ("val", "train")]
    found = load_picture_embeddings(str(tiny_embeddings), clip, splits)
    for data in splits:
        _, images = data.read(range(len(data)))
        expected = F.normalize(image_features(clip, images), dim=1) * clip.embed_dim**0.5
        torch.testing.assert_close(found.by_split[data.split], expected, rtol=1e-4, atol=1e-5)


def test_embeddings_of_another_clip_are_refused(shapes, other_clip, tiny_embeddings):
    data = open_data(DataConfig(source=str(shapes), image_size=16), "train")
    with pytest.raises(UsageError, match=r"--embeddings .* has embeddings of the CLIP .*--clip"):
        load_picture_embeddings(str(tiny_embeddings), ClipModel.load(other_clip), [data])


def test_embeddings_of_other_captions_are_refused(tmp_path, shapes, tiny_clip, tiny_embeddings):
    folder = tmp_path / "shapes"
    folder.mkdir()
    for path in sorted(Path(shapes).iterdir()):
        content = path.read_bytes()
        (folder / path.name).write_bytes(content.replace(b"red circle", b"crimson circle"))
    data = open_data(DataConfig(source=str(folder), image_size=16), "train")
    with pytest.raises(DataError, match=r"is of other data than --data: the captions of .* differ"):
        load_picture_embeddings(str(tiny_embeddings), ClipModel.load(tiny_clip), [data])


@pytest.mark.slow
def test_a_killed_decoder_resumes_to_the_same_bits(
    tmp_path, configs, shapes, tiny_clip, tiny_embeddings
):
    flags = decoder_flags(configs, shapes, tiny_clip, tiny_embeddings)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run(["train", *flags, "--train.steps", "4", "--run-dir", str(whole)])
    for steps in ("2", "4"):
        run(["train", *flags, "--train.steps", steps, "--run-dir", str(parts)])
    newest = [next(checkpoint.checkpoints(folder / "checkpoints")) for folder in (whole, parts)]
    one, other = (checkpoint.load_tensors(folder / "unet.safetensors") for folder in newest)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert any("image_embedding" in name for name in one)


def test_a_run_cannot_go_on_with_other_embeddings(
    tmp_path, configs, shapes, tiny_clip, tiny_embeddings
):
    from dataclasses import replace

    flags = decoder_flags(configs, shapes, tiny_clip, tiny_embeddings)
    folder = str(tmp_path / "run")
    run(["train", *flags, "--train.steps", "2", "--run-dir", folder])
    others = read_embeddings(tiny_embeddings)
    write_embeddings(
        tmp_path / "others.safetensors", replace(others, image=others.image.roll(1, 0))
    )
    flags[flags.index("--embeddings") + 1] = str(tmp_path / "others.safetensors")
    with pytest.raises(CheckpointError, match="embeddings = "):
        run(["train", *flags, "--train.steps", "4", "--run-dir", folder])
