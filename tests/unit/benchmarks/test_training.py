"""The training benchmarks run at a small size, and the loop of diffusers' parts trains."""

from __future__ import annotations

import importlib
import json
import math
from pathlib import Path

import pytest
import torch

from tests.helpers.paths import ROOT
from textdiff.clip import ClipModel
from textdiff.data import DataConfig, open_data
from textdiff.interop import unet_from_diffusers

SMALL = ["--block-channels", "8", "16", "--layers", "1", "--head-dim", "8", "--norm-groups", "4"]


@pytest.fixture
def bench(monkeypatch, capsys):
    """Runs a benchmark in this process; gives what it prints."""

    def printed(name: str, *flags: str) -> str:
        monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
        monkeypatch.setattr("sys.argv", [f"{name}.py", *SMALL, *flags])
        importlib.import_module(name).main()
        return capsys.readouterr().out

    return printed


@pytest.mark.slow
def test_training_step_compares_equal_networks(bench, tmp_path: Path) -> None:
    flags = ["--image-size", "8", "--batch-size", "2", "--repeats", "2", "--precision", "no"]
    flags += ["--variants", "ours", "recomputed", "diffusers", "diffusers tuned"]
    table = bench("training_step", *flags, "--no-alone", "--json", str(tmp_path / "a.json"))
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0] for row in rows[2:]] == [
        "| ours", "| recomputed", "| diffusers", "| diffusers tuned",
    ]  # fmt: skip
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["largest_output_difference"] < 1e-5
    flops = {name: variant["flops"] for name, variant in found["variants"].items()}
    assert flops["diffusers tuned"] == pytest.approx(flops["ours"], rel=0.1)
    assert flops["recomputed"] > 1.2 * flops["ours"]
    assert found["variants"]["ours"]["times_the_first"]["median"] == 1


@pytest.mark.slow
def test_each_gain_is_of_a_step_without_one_thing(bench, tmp_path: Path) -> None:
    flags = ["--image-size", "8", "--batch-size", "2", "--repeats", "2", "--precision", "bf16"]
    bench("training_gains", *flags, "--json", str(tmp_path / "a.json"))
    found = json.loads((tmp_path / "a.json").read_text())["results"]
    assert list(found) == ["all"] + [
        f"without {name}"
        for name in (
            *("bf16", "attention by matrix products", "folded upsampling"),
            *("fused AdamW", "EMA with foreach"),
        )
    ]
    assert found["all"]["gain"]["median"] == 1


@pytest.fixture
def loop(monkeypatch, shapes, tiny_clip):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from diffusers_loop import DiffusersLoop, LoopSettings
    from gpu_plan import TINY

    config = DataConfig(source=str(shapes), image_size=16, min_side=4, max_bad_fraction=0.5)
    clip = ClipModel.load(tiny_clip).freeze()
    unet = TINY.model_copy(update={"cross_attention_dim": clip.text_width})
    settings = LoopSettings(tuned=True, precision="no", batch_size=4, lr=1e-2)
    return DiffusersLoop(open_data(config, "train"), clip, unet, settings)


@pytest.mark.slow
def test_the_loop_of_diffusers_parts_trains(loop) -> None:
    before = [parameter.detach().clone() for parameter in loop.unet.parameters()]
    loop.train(12)
    assert len(loop.losses) == 12
    assert all(map(math.isfinite, loop.losses))
    assert sum(loop.losses[-4:]) < sum(loop.losses[:4])
    pairs = zip(loop.unet.parameters(), before, loop.average.shadow_params, strict=True)
    for now, first, average in pairs:
        assert not torch.equal(now, first)
        assert not torch.equal(now, average)


def test_with_its_text_masked_the_loop_gives_the_network_what_our_pipeline_does(loop) -> None:
    captions = [captions[0] for captions in loop.loader.dataset.captions[:3]]
    clip = loop.loader.dataset.clip
    tokens, x_t = clip.tokenize(captions), torch.randn(3, 3, 16, 16)
    timestep = torch.tensor([3, 500, 990])
    text = loop.text_encoder(tokens.ids).last_hidden_state
    ours = unet_from_diffusers(loop.unet).eval()
    with torch.no_grad():
        expected = ours(x_t, timestep, clip.conditioning(captions))
        masked = loop.unet(x_t, timestep, text, encoder_attention_mask=tokens.mask).sample
        shown = loop.unet(x_t, timestep, text).sample
    assert torch.allclose(masked, expected, atol=1e-5)
    assert not torch.allclose(shown, expected, atol=1e-5)
