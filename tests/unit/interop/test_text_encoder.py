"""open_clip's text tower and tokenizer against transformers', read from the exported files."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from torch import nn
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from textdiff.clip import source
from textdiff.clip.config import ClipConfig
from textdiff.clip.model import FRESH_PREPROCESS, ClipModel
from textdiff.errors import CheckpointError, UsageError
from textdiff.interop import text_encoder_to_transformers, tokenizer_to_transformers

CAPTIONS = ["", "a red apple", "Two DOGS, it's 3 o'clock!", "naïve café 東京 🍎", "cut " * 20]


def clip(custom_text=False, embed_dim=24, quick_gelu=False, **text) -> ClipModel:
    """A tiny CLIP; `text` goes to open_clip's text_cfg."""
    import open_clip

    config = ClipConfig(
        image={"image_size": 16, "patch_size": 8, "width": 32, "heads": 2, "layers": 1},
        text={"context_length": 12, "width": 32, "heads": 2, "layers": 2},
        embed_dim=embed_dim,
        quick_gelu=quick_gelu,
    )
    cfg = config.to_open_clip()
    cfg["text_cfg"] |= text
    cfg["custom_text"] = custom_text
    module = source.instantiate(cfg, FRESH_PREPROCESS, seed=0)
    for name, parameter in module.named_parameters():  # zeros and ones would hide a mix-up
        if not name.startswith("visual") and parameter.ndim == 1:
            nn.init.normal_(parameter, mean=float("ln" in name and "weight" in name), std=0.1)
    tokenizer = open_clip.SimpleTokenizer(context_length=cfg["text_cfg"]["context_length"])
    return ClipModel(source.Source(module, cfg, tokenizer)).eval()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"quick_gelu": True},
        {"custom_text": True},
        {"context_length": 77, "vocab_size": 49500, "width": 48, "heads": 3, "layers": 1},
        {"mlp_ratio": 2.0, "norm_kwargs": {"eps": 1e-3}},
        {"act_kwargs": {"approximate": "tanh"}},
        {"pool_type": "eos", "eos_id": 49407, "custom_text": True},
    ],
    ids=str,
)
@torch.no_grad()
def test_features_are_equal(options, tmp_path):
    ours = clip(**options)
    text_encoder_to_transformers(ours, tmp_path)
    theirs = CLIPTextModelWithProjection.from_pretrained(tmp_path)
    tokens = ours.tokenize(CAPTIONS)
    expected, found = ours.encode_text(tokens, trim=False), theirs(tokens.ids)
    close = {"rtol": 1e-5, "atol": 1e-5}
    torch.testing.assert_close(found.last_hidden_state, expected.tokens, **close)
    torch.testing.assert_close(found.text_embeds, expected.projected, **close)


@torch.no_grad()
def test_the_folder_is_a_text_model_without_projection_too(tmp_path):
    ours = clip()
    text_encoder_to_transformers(ours, tmp_path)
    tokens = ours.tokenize(CAPTIONS)
    found = CLIPTextModel.from_pretrained(tmp_path)(tokens.ids)
    expected = ours.encode_text(tokens, trim=False)
    torch.testing.assert_close(found.pooler_output, expected.pooled, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"no_causal_mask": True, "custom_text": True}, "not causal"),
        ({"pool_type": "last", "custom_text": True}, "pools 'last'"),
        ({"proj_bias": True, "custom_text": True}, "not one matrix"),
        ({"proj_type": "none", "embed_dim": 32, "custom_text": True}, "not one matrix"),
        ({"ls_init_value": 0.1}, r"has 'transformer\.resblocks\.0\.ls_1\.gamma'"),
    ],
    ids=["bidirectional", "pooling", "projection with bias", "no projection", "layer scale"],
)
def test_a_tower_that_transformers_lacks_is_refused(options, message):
    with pytest.raises(UsageError, match=message):
        text_encoder_to_transformers(clip(**options))


def test_another_activation_is_refused():
    ours = clip()
    ours.model.transformer.resblocks[0].mlp.gelu = nn.ReLU()
    with pytest.raises(UsageError, match="uses ReLU"):
        text_encoder_to_transformers(ours)


def test_outputs_that_differ_are_an_error(monkeypatch, tmp_path):
    """As where a version of transformers renames keys and reads ours as none."""
    loaded = CLIPTextModelWithProjection.from_pretrained

    def forgetful(folder):
        model = loaded(folder)
        nn.init.normal_(model.text_projection.weight)
        return model

    monkeypatch.setattr(CLIPTextModelWithProjection, "from_pretrained", forgetful)
    with pytest.raises(CheckpointError, match="projected features differ from ours by up to"):
        text_encoder_to_transformers(clip(), tmp_path)


def test_tokens_are_equal(tmp_path):
    ours = clip()
    tokenizer_to_transformers(ours, tmp_path)
    theirs = CLIPTokenizer.from_pretrained(tmp_path)
    assert theirs.model_max_length == 12
    found = theirs(CAPTIONS, padding="max_length", truncation=True, return_tensors="pt")
    expected = ours.tokenize(CAPTIONS)
    mask = found.attention_mask.bool()
    assert torch.equal(mask, expected.mask)
    assert torch.equal(found.input_ids[mask], expected.ids[mask])


def test_a_tokenizer_that_reads_in_another_way_is_refused():
    import open_clip

    ours = copy.copy(clip())
    other = open_clip.SimpleTokenizer(context_length=12, clean="canonicalize")
    ours._origin = dataclasses.replace(ours._origin, tokenizer=other)
    with pytest.raises(UsageError, match="not open_clip's own"):
        tokenizer_to_transformers(ours)
