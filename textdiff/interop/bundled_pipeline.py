"""Text to image with a U-Net that paints pixels and CLIP's text tower.

    prompt ─► CLIPTokenizer ─► CLIPTextModelWithProjection ─► tokens, mask, pooled ─┐
    noise (B, C, H, W) ─► UNet2DConditionModel, scheduler.step ... ◄────────────────┘ ─► pictures

A picture is the x_0_hat of the last step, not its prev_sample: a scheduler of yours whose last
timestep is above 0 may add noise to that (DDPMScheduler), or stop before alpha_bar = 1.

Written by textdiff into the folder of an exported model. It needs diffusers and transformers alone:

    pipe = DiffusionPipeline.from_pretrained(FOLDER, trust_remote_code=True)
    pipe("a red apple").images[0]

No pipeline of diffusers gives a U-Net in pixel space the mask of the text and the pooled feature
that this one was trained with.
"""

# No `from __future__ import annotations`: diffusers before 0.37 needs the classes, not names.
import html
import inspect
import json
import math
import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import DiffusionPipeline, ImagePipelineOutput, SchedulerMixin, UNet2DConditionModel
from diffusers.utils.torch_utils import randn_tensor
from numpy import ndarray
from PIL.Image import Image
from torch import Tensor
from transformers import CLIPTextModelWithProjection, CLIPTokenizer

PLAIN = re.compile(r"[\s!-%'-~]*", re.ASCII)  # what cleaning does not change: no & and no accents
Text = dict[str, Tensor | None]  # what the U-Net takes beside x_t and timestep, by argument


def clean(caption: str) -> str:
    """`caption` as CLIP's training cleaned it."""
    if PLAIN.fullmatch(caption):
        return caption
    try:
        import ftfy
    except ImportError:
        raise ImportError(f"the prompt {caption!r} is cleaned by ftfy: pip install ftfy") from None
    return html.unescape(html.unescape(ftfy.fix_text(caption)))


class TextDiffPipeline(DiffusionPipeline):
    """`patch_size`: squares of this side are folded into the U-Net's channels.
    `text_layers`: whose hidden states it attends to, side by side; 0: before any, -1: the last."""

    model_cpu_offload_seq = "text_encoder->unet"

    def __init__(
        self,
        unet: UNet2DConditionModel,
        scheduler: SchedulerMixin,
        text_encoder: CLIPTextModelWithProjection,
        tokenizer: CLIPTokenizer,
        patch_size: int = 1,
        text_layers: Sequence[int] = (-1,),
    ) -> None:
        super().__init__()
        self.register_modules(
            unet=unet, scheduler=scheduler, text_encoder=text_encoder, tokenizer=tokenizer
        )
        self.register_to_config(patch_size=patch_size, text_layers=list(text_layers))

    def save_config(
        self, save_directory: str | Path, push_to_hub: bool = False, **kwargs: object
    ) -> None:
        """With this file and its class's name beside it, so that what `save_pretrained` writes is
        loaded as this folder is."""
        super().save_config(save_directory, push_to_hub, **kwargs)
        index, own = Path(save_directory, self.config_name), Path(__file__)
        config = json.loads(index.read_text(encoding="utf-8"))
        config["_class_name"] = ["pipeline", type(self).__name__]
        index.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        source = own.read_text(encoding="utf-8")
        Path(save_directory, "pipeline.py").write_text(source, encoding="utf-8")

    def encode(self, prompts: list[str]) -> Text:
        """The features of the prompts; long ones are cut, as in training, with a warning."""
        prompts, longest = [clean(prompt) for prompt in prompts], self.tokenizer.model_max_length
        distinct = list(dict.fromkeys(prompts))
        long = [each for each in distinct if len(self.tokenizer(each).input_ids) > longest]
        if long:
            warnings.warn(
                f"{len(long)} of {len(distinct)} prompts cut to {longest} tokens, the first "
                f"'{long[0][:60]}...'",
                stacklevel=3,
            )
        texts = self.tokenizer(
            prompts,
            padding="max_length",
            truncation=True,
            max_length=longest,
            return_tensors="pt",
        ).to(self._execution_device)
        features = self.text_encoder(texts.input_ids, output_hidden_states=True)
        states, norm = features.hidden_states, self.text_encoder.text_model.final_layer_norm
        tokens = [norm(states[layer]) for layer in self.config.text_layers]
        pooled = F.normalize(features.text_embeds, dim=-1) * math.sqrt(
            features.text_embeds.shape[-1]
        )
        return {
            "encoder_hidden_states": torch.cat(tokens, dim=-1),
            "encoder_attention_mask": texts.attention_mask.bool(),
            "class_labels": pooled if self.unet.config.class_embed_type else None,
        }

    def predict(self, x: Tensor, timestep: Tensor, text: Text, guidance_scale: float) -> Tensor:
        """The U-Net's output, (B, C or 2C, H, W); a learned variance is that of the prompts."""
        folded = F.pixel_unshuffle(x, self.config.patch_size)
        if guidance_scale != 1.0:
            folded = folded.repeat(2, 1, 1, 1)
        output = F.pixel_shuffle(self.unet(folded, timestep, **text).sample, self.config.patch_size)
        if guidance_scale == 1.0:
            return output
        prompts, negatives = output.chunk(2)
        mean, mean_negative = prompts[:, : x.shape[1]], negatives[:, : x.shape[1]]
        guided = mean_negative + guidance_scale * (mean - mean_negative)
        return torch.cat([guided, prompts[:, x.shape[1] :]], dim=1)

    def steps(self, num_steps: int) -> tuple[SchedulerMixin, Tensor]:
        """A scheduler whose chain is the visited timesteps alone, and these, noisiest first.

            visited   round(T - i T / N) - 1, i = 0..N-1     of T training timesteps
            betas     1 - ac / ac'                           ac' of the next visited, 1 of none

        In the chain of all T, DDIMScheduler goes T // N back wherever the next timestep is, and
        sums of floats are rounded, so that 61 steps of 1000 become 62, the last at timestep -1. A
        scheduler of another kind or spacing, which is yours, takes its own steps.
        """
        config, T = self.scheduler.config, self.scheduler.config.num_train_timesteps
        if not 1 <= num_steps <= T:
            raise ValueError(f"num_inference_steps is {num_steps}, must lie in 1..{T}")
        if config.get("trained_betas") and config.get("timestep_spacing") == "trailing":
            visited = torch.tensor([round(T - i * T / num_steps) - 1 for i in range(num_steps)])
            betas = torch.tensor(config.trained_betas, dtype=torch.float64)
            ac = (1 - betas).cumprod(0)[visited.flip(0)]
            betas = 1 - ac / torch.cat([torch.ones_like(ac[:1]), ac[:-1]])
            chain = type(self.scheduler).from_config(
                config, num_train_timesteps=num_steps, trained_betas=betas.tolist()
            )
            chain.set_timesteps(num_steps, device=self._execution_device)
            if chain.timesteps.tolist() == [*range(num_steps)][::-1]:
                return chain, visited.to(self._execution_device)
        self.scheduler.set_timesteps(num_steps, device=self._execution_device)
        return self.scheduler, self.scheduler.timesteps

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | list[str],
        negative_prompt: str | list[str] | None = None,
        num_images_per_prompt: int = 1,
        num_inference_steps: int = 50,
        guidance_scale: float = 3.0,
        eta: float = 0.0,
        generator: torch.Generator | list[torch.Generator] | None = None,
        latents: Tensor | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
    ) -> ImagePipelineOutput | tuple[list[Image] | ndarray | Tensor]:
        """Pictures of each prompt in turn.

        Args:
            negative_prompt: one for all, or one per prompt; None: "".
            guidance_scale: uncond + scale (cond - uncond); 1 is off and halves the cost.
            eta: of a DDIMScheduler: 0 deterministic, 1 ancestral.
            generator: of the noise; a list has one per picture.
            latents: (B, C, H, W), the noise to start from; README.md says how to get textdiff's.
            output_type: "pil", "np" (B, H, W, C) in [0, 1], or "pt" (B, C, H, W) in [-1, 1].

        Raises:
            ValueError: negative prompts that are not one per prompt, latents of another shape, or
                more steps than training had.
        """
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        if negative_prompt is None or isinstance(negative_prompt, str):
            negatives = [negative_prompt or ""] * len(prompts)
        else:
            negatives = list(negative_prompt)
        if len(negatives) != len(prompts):
            raise ValueError(f"{len(negatives)} negative prompts for {len(prompts)} prompts")
        prompts = [p for p in prompts for _ in range(num_images_per_prompt)]
        negatives = [p for p in negatives for _ in range(num_images_per_prompt)]
        text = self.encode(prompts + (negatives if guidance_scale != 1.0 else []))

        patch, side = self.config.patch_size, self.unet.config.sample_size
        shape = (len(prompts), self.unet.config.in_channels // patch**2, side * patch, side * patch)
        if latents is None:
            x = randn_tensor(shape, generator, self._execution_device, self.unet.dtype)
        elif latents.shape != shape:
            raise ValueError(f"latents are {tuple(latents.shape)}, these prompts take {shape}")
        else:
            x = latents.to(self._execution_device, self.unet.dtype)
        scheduler, visited = self.steps(num_inference_steps)
        x = x * scheduler.init_noise_sigma
        learned = (scheduler.config.get("variance_type") or "").startswith("learned")
        options = {"eta": eta, "use_clipped_model_output": True, "generator": generator}
        known = inspect.signature(scheduler.step).parameters
        options = {name: value for name, value in options.items() if name in known}

        pairs = list(zip(scheduler.timesteps, visited, strict=True))
        for own, timestep in self.progress_bar(pairs):
            scaled = scheduler.scale_model_input(x, own)
            output = self.predict(scaled, timestep, text, guidance_scale)
            output = output if learned else output[:, : shape[1]]
            step = scheduler.step(output, own, x, **options)
            x = step.prev_sample
        self.maybe_free_model_hooks()

        # In our own chain the two are the same; a multistep solver names no x_0_hat.
        x_0_hat = getattr(step, "pred_original_sample", None)
        images = x if x_0_hat is None else x_0_hat
        if output_type != "pt":
            images = ((images.float() + 1) / 2).clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy()
            images = self.numpy_to_pil(images) if output_type == "pil" else images
        return ImagePipelineOutput(images) if return_dict else (images,)
