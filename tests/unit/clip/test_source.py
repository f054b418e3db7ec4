"""CLIP folders: open_clip reads what is saved; whatever is wrong with one is said in one line."""

from __future__ import annotations

import json

import open_clip
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from tests.helpers.damage import forget
from tests.helpers.tokenizers import word_tokenizer
from textdiff.clip import ClipConfig, ClipModel
from textdiff.clip import source as clip_source
from textdiff.clip.folder_config import check_model
from textdiff.clip.folder_tokenizer import folder_tokenizer
from textdiff.clip.source import CONFIG, WEIGHTS
from textdiff.errors import CheckpointError, UsageError

TEXT = {"context_length": 12, "width": 32, "layers": 1, "heads": 2}
TOWERS = {
    "vit": {"image_size": 32, "patch_size": 8, "width": 32, "layers": 1, "heads": 2},
    "resnet": {"kind": "resnet", "image_size": 32, "width": 8, "heads": 4},
}
CAPTIONS = ["a red apple", "a very long caption " * 5]


def tiny(kind: str = "vit") -> ClipModel:
    config = {"embed_dim": 16, "image": TOWERS[kind], "text": TEXT}
    return ClipModel.build(ClipConfig.model_validate(config), seed=0)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pristine")
    tiny().save(folder)
    forget(folder)
    return {name: (folder / name).read_bytes() for name in (CONFIG, WEIGHTS)}


@pytest.fixture
def folder(pristine, tmp_path):
    """A CLIP to be spoilt, as another program saves it."""
    for name, content in pristine.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def edit_config(folder, edit):
    config = json.loads((folder / CONFIG).read_text())
    edit(config)
    (folder / CONFIG).write_text(json.dumps(config))


def message_of(error: type[Exception], name) -> str:
    with pytest.raises(error) as caught:
        ClipModel.load(name)
    message = str(caught.value)
    assert "\n" not in message
    return message


# Round trips


@pytest.mark.parametrize("kind", TOWERS)
def test_open_clip_loads_the_folder_and_agrees(kind, tmp_path):
    ours = tiny(kind)
    # Statistics that no fresh ResNet has.
    ours(torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8), CAPTIONS * 2)
    ours.save(tmp_path)
    ours.freeze()
    name = f"local-dir:{tmp_path}"
    theirs, _, transform = open_clip.create_model_and_transforms(name)
    theirs.eval()
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    normalise = transform.transforms[-1]
    with torch.no_grad():
        torch.testing.assert_close(
            ours.encode_image(images), theirs.encode_image(normalise(images / 255))
        )
        ids = open_clip.get_tokenizer(name)(CAPTIONS)
        torch.testing.assert_close(ours.encode_text(CAPTIONS).projected, theirs.encode_text(ids))


@pytest.mark.parametrize("kind", TOWERS)
def test_load_gives_back_the_same_weights(kind, tmp_path):
    model = tiny(kind)
    model.save(tmp_path)
    for name in (tmp_path, f"local-dir:{tmp_path}"):
        loaded = ClipModel.load(name)
        assert loaded.weights_hash() == model.weights_hash()
        assert not loaded.training


def test_save_leaves_nothing_else_behind_and_overwrites(tmp_path):
    (tmp_path / "metrics.jsonl").write_text("kept")
    model = tiny()
    model.save(tmp_path)
    model.model.logit_scale.data.zero_()
    model.save(tmp_path)
    names = ["manifest.json", "metrics.jsonl", CONFIG, WEIGHTS]
    assert sorted(p.name for p in tmp_path.iterdir()) == names
    assert ClipModel.load(tmp_path).weights_hash() == model.weights_hash()


def test_interrupted_save_leaves_the_old_files(folder, pristine, monkeypatch):
    def full_disk(*args, **kwargs):
        raise OSError("no space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full_disk)
    with pytest.raises(OSError, match="no space"):
        tiny("resnet").save(folder)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == pristine


def test_folder_with_a_tokenizer_of_transformers_survives_a_round_trip(tmp_path):
    tokenizer = word_tokenizer(tmp_path / "tokenizer")
    text = TEXT | {"context_length": 4, "vocab_size": 4, "hf_tokenizer_name": "any/name"}
    text |= {"no_causal_mask": True, "pool_type": "last"}
    cfg = ClipConfig.model_validate({"embed_dim": 16, "image": TOWERS["vit"]}).to_open_clip()
    cfg |= {"text_cfg": text, "custom_text": True}
    module = clip_source.instantiate(cfg, {})
    model = ClipModel(clip_source.Source(module, cfg, tokenizer)).freeze()
    model.save(tmp_path / "saved")
    loaded = ClipModel.load(tmp_path / "saved")
    expected = model.encode_text(["red apple"]).projected
    torch.testing.assert_close(loaded.encode_text(["red apple"]).projected, expected)


# Folders that are none


def test_folder_that_does_not_exist(tmp_path):
    assert "is not a folder; give a folder with" in message_of(CheckpointError, tmp_path / "none")


def test_folder_without_config(tmp_path):
    assert f"has no {CONFIG}" in message_of(CheckpointError, tmp_path)


def test_folder_without_weights(folder):
    (folder / WEIGHTS).unlink()
    assert f"has no {WEIGHTS}" in message_of(CheckpointError, folder)


def test_config_that_is_no_json(folder):
    (folder / CONFIG).write_text('{"model_cfg": ')
    assert "cannot be read as JSON" in message_of(CheckpointError, folder)


@pytest.mark.parametrize("content", ["[]", "{}", '{"model_cfg": {"embed_dim": 8}}'])
def test_config_of_something_else(folder, content):
    (folder / CONFIG).write_text(content)
    assert "needs a model_cfg with embed_dim" in message_of(CheckpointError, folder)


def test_config_that_open_clip_cannot_build(folder):
    edit_config(folder, lambda c: c["model_cfg"]["vision_cfg"].update(head_width=64))
    message = message_of(CheckpointError, folder)
    assert "open_clip cannot build what" in message


@pytest.mark.parametrize(
    ("section", "change", "cure"),
    [
        ("vision_cfg", {"colour": "red"}, "model_cfg.vision_cfg.colour is none of the settings"),
        ("vision_cfg", {"layers": 10**9}, "less than or equal to 512, got '1000000000'"),
        ("vision_cfg", {"layers": "1"}, "vision_cfg.layers"),
        ("vision_cfg", {"timm_model_name": "hf-hub:some/one"}, "timm_model_name"),
        ("vision_cfg", {"timm_model_name": "resnet_of_nobody"}, "timm has no such model"),
        ("vision_cfg", {"act_kwargs": {"inplace": True}}, "vision_cfg.act_kwargs.inplace"),
        ("text_cfg", {"hf_tokenizer_name": ["x"]}, "text_cfg.hf_tokenizer_name"),
        ("text_cfg", {"tokenizer_kwargs": {"trust_remote_code": True}}, "trust_remote_code is no"),
        ("text_cfg", {"tokenizer_kwargs": {"bpe_path": "/etc/passwd"}}, "bpe_path is none of"),
    ],
)
def test_config_with_what_no_folder_may_say(folder, section, change, cure):
    edit_config(folder, lambda c: c["model_cfg"][section].update(change))
    assert cure in message_of(CheckpointError, folder)


@pytest.mark.parametrize(
    "change", [{"mean": [0.5, 0.5]}, {"std": [0, 1, 1]}, {"mode": 3, "std": 1}]
)
def test_preprocessing_that_is_none(folder, change):
    edit_config(folder, lambda c: c["preprocess_cfg"].update(change))
    assert f"{CONFIG}: preprocess_cfg." in message_of(CheckpointError, folder)


@pytest.mark.slow
def test_a_config_cannot_ask_for_more_memory_than_its_weights_fill(folder):
    """20 TB of them, refused by shape before any is allocated."""
    size = {"width": 32768, "layers": 512, "head_width": 64, "patch_size": 8}
    edit_config(folder, lambda c: c["model_cfg"]["vision_cfg"].update(size))
    assert "config and weights disagree" in message_of(CheckpointError, folder)


def test_every_plain_config_of_open_clip_passes():
    checked = 0
    for name in open_clip.list_models():
        config = open_clip.get_model_config(name)
        text = config["text_cfg"]
        if "multimodal_cfg" in config or text.get("hf_model_name") or text.get("embed_cls"):
            continue
        assert json.loads(json.dumps(check_model(config, name))) == config
        checked += 1
    assert checked > 80


# Folders with a tokenizer of their own: read as data, never run, never fetched


@pytest.fixture
def no_auto_classes(monkeypatch):
    """What would import a folder's code, or ask the network, fails the test."""
    for name in ("AutoTokenizer", "AutoConfig"):
        monkeypatch.setattr(
            getattr(transformers, name), "from_pretrained", lambda *_, **__: pytest.fail("asked")
        )


def test_a_tokenizer_that_is_not_in_the_folder_is_not_fetched(folder, no_auto_classes):
    edit_config(folder, lambda c: c["model_cfg"]["text_cfg"].update(hf_tokenizer_name="some/one"))
    assert "has no tokenizer.json; put that file there" in message_of(CheckpointError, folder)


def test_a_tokenizer_as_open_clip_reads_it(folder, tmp_path, monkeypatch):
    edit_config(folder, lambda c: c["model_cfg"]["text_cfg"].update(hf_tokenizer_name="some/one"))
    theirs = word_tokenizer(folder)
    with monkeypatch.context() as patch:
        patch.setattr(transformers.AutoTokenizer, "from_pretrained", lambda *_, **__: pytest.fail())
        ours = folder_tokenizer(folder, {"hf_tokenizer_name": "any", "context_length": 4})
    texts = ["red apple", "apple", "red red red red red", ""]
    assert torch.equal(ours(texts), theirs(texts))
    assert ours.tokenizer.eos_token_id == 1


@pytest.mark.parametrize(
    ("content", "cure"),
    [('{"eos_token": "<none>"}', "eos_token '<none>' is no token"), ("[]", "must hold an object")],
)
def test_a_tokenizer_config_of_something_else(folder, content, cure):
    edit_config(folder, lambda c: c["model_cfg"]["text_cfg"].update(hf_tokenizer_name="some/one"))
    word_tokenizer(folder)
    (folder / "tokenizer_config.json").write_text(content)
    assert cure in message_of(CheckpointError, folder)


@pytest.mark.parametrize("keep", [4, 2000])
def test_damaged_weights(folder, keep):
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[:keep])
    assert f"{WEIGHTS} is damaged" in message_of(CheckpointError, folder)


# Config and weights that disagree: never loaded in part, never resized


def test_disagreement_names_the_tensor_and_both_shapes(folder):
    edit_config(folder, lambda c: c["model_cfg"]["vision_cfg"].update(patch_size=4))
    message = message_of(CheckpointError, folder)
    assert "'visual.conv1.weight': [32, 3, 8, 8] in" in message
    assert "[32, 3, 4, 4] by" in message


def test_another_image_size_is_refused_where_open_clip_would_interpolate(folder):
    edit_config(folder, lambda c: c["model_cfg"]["vision_cfg"].update(image_size=64))
    message = message_of(CheckpointError, folder)
    assert "'visual.positional_embedding': [17, 32] in" in message


def test_missing_tensor(folder):
    edit_config(folder, lambda c: c["model_cfg"]["text_cfg"].update(layers=2))
    message = message_of(CheckpointError, folder)
    assert "'transformer.resblocks.1.attn.in_proj_bias': no such tensor in" in message


def test_tensor_too_many(folder):
    tensors = load_file(folder / WEIGHTS) | {"text_decoder.weight": torch.zeros(2)}
    save_file(tensors, folder / WEIGHTS)
    message = message_of(CheckpointError, folder)
    assert "'text_decoder.weight': [2] in" in message
    assert f"no such tensor by {CONFIG}" in message


def test_text_tower_of_transformers_is_refused(folder):
    edit_config(folder, lambda c: c["model_cfg"]["text_cfg"].update(hf_model_name="roberta-base"))
    assert "not open_clip's plain text transformer" in message_of(UsageError, folder)


# Names of open_clip


@pytest.fixture
def tiny_pretrained(folder, tmp_path_factory, monkeypatch):
    """open_clip with one more model, whose pretrained weights lie on disk."""
    configs = tmp_path_factory.mktemp("configs")
    config = json.loads((folder / CONFIG).read_text())["model_cfg"]
    (configs / "ViT-Tiny-8.json").write_text(json.dumps(config | {"quick_gelu": False}))
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIG_PATHS", [configs])
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIGS", {})
    open_clip.factory._rescan_model_configs()
    entry = {"file": str(folder / WEIGHTS), "mean": (0.1, 0.2, 0.3), "std": (0.5, 0.5, 0.5)}
    tags = {
        "good": entry,
        "quick": entry | {"quick_gelu": True},
        "gone": {"hf_hub": "no/such/x.pt"},
    }
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "ViT-Tiny-8", tags)


def test_pretrained_weights_come_with_their_preprocessing(tiny_pretrained, folder):
    model = ClipModel.load("ViT-Tiny-8/good")
    assert model.weights_hash() == ClipModel.load(folder).weights_hash()
    assert model.mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])


def test_quick_gelu_of_the_weights_wins_and_is_saved(tiny_pretrained, tmp_path_factory):
    model = ClipModel.load("ViT-Tiny-8/quick")
    features = model.encode_text(["dog"]).projected
    assert not torch.allclose(
        features, ClipModel.load("ViT-Tiny-8/good").encode_text(["dog"]).projected
    )
    saved = tmp_path_factory.mktemp("saved")
    model.save(saved)
    torch.testing.assert_close(ClipModel.load(saved).encode_text(["dog"]).projected, features)


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("ViT-B-33/openai", "did you mean 'ViT-B-32/openai'?"),
        ("ViT-B-32/laion2b_s34b", "did you mean laion2b_s34b_b79k?"),
        ("ViT-B-32", "needs a pretrained tag, as in ViT-B-32/TAG; tags: openai"),
        ("coca_ViT-B-32/laion2b_s13b_b90k", "take e.g. a ViT-B-32"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(name, cure):
    assert cure in message_of(UsageError, name)


def test_relative_folder_that_does_not_exist():
    message = message_of(CheckpointError, "runs/clip-that-is-not-there")
    assert "neither a folder" in message


def test_weights_that_are_not_on_disk_while_offline(tiny_pretrained, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    message = message_of(UsageError, "ViT-Tiny-8/gone")
    assert "not on this machine" in message
    assert "give a local open_clip folder" in message
