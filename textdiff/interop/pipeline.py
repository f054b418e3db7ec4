"""A whole model as a folder that `diffusers.DiffusionPipeline.from_pretrained` loads.

    unet/ scheduler/ text_encoder/ tokenizer/  model_index.json  README.md  (pipeline.py)

diffusers and transformers hold all parts; textdiff is not needed to draw. Two kinds of folder:

    bundled   brings its pipeline in pipeline.py: prompts in, pictures out, for every Gaussian model
              (patch_size above 1 is folded around the U-Net there). diffusers runs such a file only
              if asked, by trust_remote_code=True
    stock     is run by diffusers' own `IFPipeline`, without any code of ours

No stock pipeline takes our prompts as they are. Those in pixel space give the U-Net neither the
mask of the text (padding would be attended to) nor a pooled feature (`class_labels`), and call the
tokenizer for 77 tokens; the Stable Diffusion ones need an autoencoder besides, see
`stable_diffusion`. What is possible:

    mask      attention to a set equals attention to several copies of all of it. Prompts repeated
              to a common length need no padding, so no mask: `prompt_embeds` made by the lines in
              the folder's README.md are exact. IFPipeline gets no tokenizer and text encoder, so
              that `prompt=` is an error, not another picture
    variance  IFPipeline cuts the output in two whether the network learned a variance or not: one
              that did not gets C channels of zeros, which are cut off again. A learned one is used
              if asked for: at fewer than T steps IFPipeline leaves noise in the picture then
    pooled    impossible: train with use_pooled false
    patches   impossible: train with patch_size 1
    layers    the last alone: train with text_layers -1
    ddim      not with clipped x_0_hat: IFPipeline does not ask the scheduler for eps that agrees
              with it. Take ddpm or dpmpp
    guidance  IFPipeline guides at scales above 1 alone
    steps     are those of diffusers' scheduler, see scheduler.py; ddpm and dpmpp take `timesteps`

Not exported: the image tower of CLIP (no sampler here needs it), guidance intervals and rescaling,
other spacings than trailing, inpainting, and diffusion of black-and-white pictures, for which
diffusers has no scheduler.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from textdiff import checkpoint
from textdiff.clip.config import LAST_LAYER
from textdiff.diffusion.config import VarianceType
from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.errors import UsageError
from textdiff.files import write_text
from textdiff.interop.readme import readme_of
from textdiff.interop.scheduler import SamplerName, scheduler_to_diffusers
from textdiff.interop.text_encoder import text_encoder_to_transformers
from textdiff.interop.tokenizer import tokenizer_to_transformers
from textdiff.interop.unet import folded, unet_to_diffusers
from textdiff.interop.unet_layout import refuse_decoder
from textdiff.models.unet import UNet
from textdiff.pipeline import ModelConfig, TextToImage

Kind = Literal["bundled", "stock"]
INDEX = "model_index.json"
PIPELINE = "pipeline.py"
TEXT_PARTS = {
    "text_encoder": ("transformers", "CLIPTextModelWithProjection"),
    "tokenizer": ("transformers", "CLIPTokenizer"),
}


def pipeline_to_diffusers(
    pipe: TextToImage,
    folder: str | Path,
    kind: Kind = "bundled",
    sampler: SamplerName | None = None,
    variance: Literal["auto", VarianceType] = "auto",
    clip: bool = True,
) -> None:
    """Writes the folder; model_index.json last, so that a broken one does not load.

    Args:
        sampler: what the scheduler does; by default ddim, stock: ddpm.
        variance: of ddpm; auto: fixed_small, and for bundled learned if the U-Net has one.
        clip: as our threshold "static"; else "none".

    Raises:
        UsageError: a model or choice that this kind of folder cannot hold.
        CheckpointError: the exported text tower's outputs differ from ours.
    """
    unet, folder = pipe.unet, Path(folder).expanduser()
    sampler = sampler or ("ddpm" if kind == "stock" else "ddim")
    if not isinstance(pipe.schedule, NoiseSchedule):
        raise UsageError(
            "a model of black-and-white pictures has no diffusers scheduler; only Gaussian "
            "diffusion can be exported"
        )
    if pipe.vae is not None:
        raise UsageError(
            "the bundled pipeline and IFPipeline draw pixels, this model draws latents of a VAE; "
            "export it for StableDiffusionPipeline, --pipeline stock"
        )
    refuse_decoder(unet.config)
    if pipe.config.text_padding:
        raise UsageError(
            "only StableDiffusionPipeline, which draws latents, attends to the padding of the text "
            "as this model does (text_padding); train one without"
        )
    if kind == "stock":
        _check_stock(pipe, sampler, clip)
    learned = unet.config.learned_variance
    if variance == "learned" and not learned:
        raise UsageError("variance learned: the model has none; use fixed_small or fixed_large")
    if variance == "auto":
        variance = "learned" if learned and kind == "bundled" else "fixed_small"
    scheduler = scheduler_to_diffusers(
        pipe.schedule, pipe.config.prediction, sampler, variance, clip
    )

    (folder / INDEX).unlink(missing_ok=True)
    tokenizer_to_transformers(pipe.clip, folder / "tokenizer")
    text_encoder_to_transformers(pipe.clip, folder / "text_encoder")
    plain = _with_two_outputs(unet) if kind == "stock" else folded(unet)
    unet_to_diffusers(plain, folder / "unet")
    scheduler.save_pretrained(folder / "scheduler")
    if kind == "bundled":
        source = Path(__file__).with_name("bundled_pipeline.py")
        write_text(folder / PIPELINE, source.read_text(encoding="utf-8"))
    write_text(folder / "README.md", readme_of(kind))
    index = _index(kind, type(scheduler).__name__, pipe.config)
    write_text(folder / INDEX, json.dumps(index, indent=2) + "\n")


def _check_stock(pipe: TextToImage, sampler: SamplerName, clip: bool) -> None:
    config, bundled = pipe.unet.config, "or export --pipeline bundled"
    if config.pooled_dim:
        raise UsageError(
            "IFPipeline gives the U-Net no pooled text feature (class_labels), which this model "
            f"has; train with --use-pooled false, {bundled}"
        )
    if pipe.config.text_layers != LAST_LAYER:
        raise UsageError(
            "IFPipeline takes the text tower's last layer, this model attends to text_layers "
            f"{list(pipe.config.text_layers)}; train with -1, {bundled}"
        )
    if config.patch_size > 1:
        raise UsageError(
            f"IFPipeline folds no pixels into channels, this model has unet.patch_size "
            f"{config.patch_size}; train with 1, {bundled}"
        )
    if config.in_channels not in (1, 3) or config.out_channels not in (None, config.in_channels):
        raise UsageError(
            f"IFPipeline draws pictures of 1 or 3 channels, this model's U-Net has "
            f"{config.in_channels} in and {config.out_channels} out; {bundled[3:]}"
        )
    if sampler == "ddim" and clip:
        raise UsageError(
            "IFPipeline's DDIM keeps the eps of before clipping; use --sampler ddpm or dpmpp, "
            f"--threshold none, {bundled}"
        )


def _with_two_outputs(unet: UNet) -> UNet:
    """With learned variance, in name at least: where there is none its channels are 0."""
    if unet.config.learned_variance:
        return unet
    doubled = UNet(unet.config.model_copy(update={"learned_variance": True})).eval()

    def padded(tensor: Tensor) -> Tensor:
        return torch.cat([tensor, torch.zeros_like(tensor)])

    tensors = unet.state_dict()
    tensors |= {name: padded(tensors[name]) for name in ("conv_out.weight", "conv_out.bias")}
    checkpoint.load_module(doubled, tensors, "the U-Net")
    return doubled


def _index(kind: Kind, scheduler: str, config: ModelConfig) -> dict[str, Any]:
    import diffusers

    parts: dict[str, Any] = {
        "_diffusers_version": diffusers.__version__,
        "scheduler": ("diffusers", scheduler),
        "unet": ("diffusers", "UNet2DConditionModel"),
    }
    if kind == "bundled":
        name = (Path(PIPELINE).stem, "TextDiffPipeline")
        own = {"patch_size": config.unet.patch_size, "text_layers": list(config.text_layers)}
        return {"_class_name": name, **parts, **TEXT_PARTS, **own}
    absent = (*TEXT_PARTS, "safety_checker", "feature_extractor", "watermarker")
    nothing = dict.fromkeys(absent, (None, None))
    return {"_class_name": "IFPipeline", **parts, **nothing, "requires_safety_checker": False}
