"""Sampling as diffusers' pipelines do it, with the weights and the noise of a model of ours.

    uncond, cond = unet(scheduler.scale_model_input(cat([x, x]), t), t, text).chunk(2)
    x = scheduler.step(uncond + guidance_scale (cond - uncond), t, x).prev_sample

This is the loop of StableDiffusionPipeline and IFPipeline in pixel space. Text is encoded before
the clock starts.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from textdiff import TextToImage
from textdiff.interop import scheduler_to_diffusers, unet_to_diffusers
from textdiff.sampling import ImageNoise
from textdiff.types import Conditioning

EXACT = "diffusers, fp32"
PLAIN = "diffusers, fp32, AttnProcessor"
ROUGH = "diffusers, bf16 weights"
AUTOCAST = "diffusers, bf16 autocast, AttnProcessor"
GRIDS = {
    "trailing": {"timestep_spacing": "trailing"},
    "linspace": {"timestep_spacing": "linspace"},
    "karras": {"use_karras_sigmas": True},
    "log_snr": {"use_lu_lambdas": True},
}
KINDS = [
    {"sampler": sampler, "spacing": spacing}
    for sampler in ("unipc", "dpmpp")
    for spacing in GRIDS
    if (sampler, spacing) != ("unipc", "log_snr")  # UniPCMultistepScheduler has none
]
OTHER_NETWORKS = ({"network": ROUGH}, {"network": PLAIN})


class DiffusersSampling:
    """`draw` by diffusers.

    Args:
        text: B negatives, then B prompts, as diffusers' pipelines have them.
    """

    def __init__(self, pipe: TextToImage, text: Conditioning, guidance_scale: float) -> None:
        self.pipe, self.text, self.guidance_scale = pipe, text, guidance_scale
        self.device = pipe.unet.conv_in.weight.device
        self.networks = self._networks()

    def _networks(self) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
        """By name; each takes (2B, C, H, W) and a timestep."""
        import diffusers
        from diffusers.models.attention_processor import AttnProcessor

        diffusers.utils.logging.set_verbosity_error()  # `to(bfloat16)` is meant
        exact, plain, rough = (unet_to_diffusers(self.pipe.unet).to(self.device) for _ in range(3))
        plain.set_attn_processor(AttnProcessor())
        rough.to(torch.bfloat16)
        return {
            EXACT: self._call(exact),
            PLAIN: self._call(plain),
            AUTOCAST: self._call(plain, autocast=True),
            ROUGH: self._call(rough),
        }

    def _call(self, unet: nn.Module, autocast: bool = False) -> Callable[[Tensor, Tensor], Tensor]:
        tokens = self.text.tokens.to(unet.dtype)
        options = {"encoder_attention_mask": self.text.mask, "return_dict": False}

        def predict(x: Tensor, timestep: Tensor) -> Tensor:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=autocast):
                return unet(x.to(unet.dtype), timestep, tokens, **options)[0].float()

        return predict

    def scheduler(self, sampler: str, spacing: str):
        """ddim takes trailing alone.

        Raises:
            UsageError: a schedule that diffusers' solvers cannot take.
        """
        import diffusers

        schedule, prediction = self.pipe.schedule, self.pipe.config.prediction
        if sampler == "ddim":
            return scheduler_to_diffusers(schedule, prediction)
        config = scheduler_to_diffusers(schedule, prediction, "dpmpp").config
        solvers = {
            "unipc": diffusers.UniPCMultistepScheduler,
            "dpmpp": diffusers.DPMSolverMultistepScheduler,
        }
        return solvers[sampler].from_config(config, **GRIDS[spacing])

    @torch.no_grad()
    def draw(
        self,
        num_steps: int,
        network: str = EXACT,
        sampler: str = "ddim",
        spacing: str = "trailing",
        seed: int = 0,
    ) -> Tensor:
        """Pictures (B, C, H, W) uint8."""
        predict, size = self.networks[network], self.pipe.config.unet.image_size
        scheduler = self.scheduler(sampler, spacing)
        scheduler.set_timesteps(num_steps, device=self.device)
        options = {}
        if sampler == "ddim":  # else it steps along the eps of before x_0_hat was clipped
            options = {"use_clipped_model_output": True}
        else:  # else grids that visit a timestep twice start at the second
            scheduler.set_begin_index(0)
        seeds = [(seed, k) for k in range(len(self.text) // 2)]
        x = ImageNoise(seeds, (3, size, size), self.device)() * scheduler.init_noise_sigma
        for timestep in scheduler.timesteps:
            both = scheduler.scale_model_input(torch.cat([x, x]), timestep)
            uncond, cond = predict(both, timestep).chunk(2)
            said = uncond + self.guidance_scale * (cond - uncond)
            x = scheduler.step(said, timestep, x, **options).prev_sample
        return self.pipe.codec.decode(x)
