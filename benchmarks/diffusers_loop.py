"""Text-to-image training as diffusers' example script does it, made of diffusers' own parts.

    PIL image ── torchvision transforms ──► pixels     caption ── tokenizer ──► ids     (DataLoader)
    eps_hat = UNet2DConditionModel(DDPMScheduler.add_noise(pixels, eps, t), t, CLIPTextModel(ids))
    loss = mse(eps_hat, eps);  Accelerator.backward, clip_grad_norm_, AdamW, EMAModel.step

The order of these calls, their defaults and what is synchronised when follow
`examples/text_to_image/train_text_to_image.py` without its VAE, for pixels and from scratch: the
text encoder runs at every step, each image is transformed when it is met, precision is fp32.
`tuned` is what a user who knows diffusers well would set: bf16, fused AdamW, EMAModel with foreach,
and the attention that is fastest on the device.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from textdiff.clip import ClipModel
from textdiff.data import CaptionedImages
from textdiff.interop import layout_to_diffusers
from textdiff.interop.text_encoder import text_encoder_to_transformers
from textdiff.models import UNetConfig
from textdiff.training.precision import choose_precision


@dataclass
class LoopSettings:
    """`precision` None: "no", and if `tuned` what a probe finds to be fast. `mask_text`: padding is
    hidden from the U-Net, as it is when our pipeline draws with it; the script shows it."""

    tuned: bool = False
    precision: str | None = None
    mask_text: bool = False
    batch_size: int = 32
    lr: float = 1e-4
    weight_decay: float = 1e-2
    betas: tuple[float, float] = (0.9, 0.999)
    max_grad_norm: float = 1.0
    ema_decay: float = 0.9999
    caption_drop: float = 0.0
    seed: int = 0
    schedule: dict = field(default_factory=lambda: {"num_train_timesteps": 1000})


class PilImages(Dataset):
    """Items as the script's `with_transform` makes them: pixel_values (3, S, S), input_ids (L,);
    and the mask (L,), True where a token is no padding."""

    def __init__(self, data: CaptionedImages, clip: ClipModel, caption_drop: float):
        from torchvision import transforms

        size = data.image_size
        self.images = [transforms.functional.to_pil_image(data.image(i)) for i in range(len(data))]
        self.captions, self.clip, self.caption_drop = data.captions, clip, caption_drop
        self.transform = transforms.Compose(
            [
                transforms.Resize(size, interpolation=transforms.InterpolationMode.LANCZOS),
                transforms.CenterCrop(size),
                transforms.ToTensor(),
                transforms.Normalize([0.5], [0.5]),
            ]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        caption = random.choice(self.captions[index])
        shown = "" if random.random() < self.caption_drop else caption
        tokens = self.clip.tokenize([shown])
        pixels = self.transform(self.images[index].convert("RGB"))
        return {"pixel_values": pixels, "input_ids": tokens.ids[0], "mask": tokens.mask[0]}


class DiffusersLoop:
    """`train(steps)` goes on where it stopped; `unet` and `average` may be looked at in between.

    Args:
        config: of the plain U-Net (patch_size 1, no pooled feature); diffusers' has its layout.
    """

    def __init__(
        self, data: CaptionedImages, clip: ClipModel, config: UNetConfig, settings: LoopSettings
    ):
        from accelerate import Accelerator
        from accelerate.utils import set_seed
        from diffusers import DDPMScheduler, UNet2DConditionModel
        from diffusers.optimization import get_scheduler
        from diffusers.training_utils import EMAModel

        self.settings = settings
        device_type = "cuda" if torch.cuda.is_available() else "cpu"
        probed = choose_precision("auto", device_type) if settings.tuned else "no"
        precision = settings.precision or probed
        self.accelerator = Accelerator(mixed_precision=precision)
        device = self.accelerator.device
        set_seed(settings.seed)
        self.scheduler = DDPMScheduler(**settings.schedule)
        half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision, torch.float32)
        self.text_encoder = text_encoder_to_transformers(clip).requires_grad_(False)
        self.text_encoder.to(device, dtype=half)
        unet = UNet2DConditionModel(**layout_to_diffusers(config)).train()
        if settings.tuned:
            unet.set_attn_processor(fast_attention(device))
        self.average = EMAModel(
            unet.parameters(),
            decay=settings.ema_decay,
            foreach=settings.tuned,
            model_cls=UNet2DConditionModel,
            model_config=unet.config,
        )
        optimizer = torch.optim.AdamW(
            unet.parameters(),
            lr=settings.lr,
            betas=settings.betas,
            weight_decay=settings.weight_decay,
            fused=settings.tuned,
        )
        loader = DataLoader(
            PilImages(data, clip, settings.caption_drop),
            shuffle=True,
            batch_size=settings.batch_size,
            drop_last=True,
        )
        lr_scheduler = get_scheduler("constant", optimizer=optimizer)
        self.unet, self.optimizer, self.loader, self.lr_scheduler = self.accelerator.prepare(
            unet, optimizer, loader, lr_scheduler
        )
        self.average.to(device)
        self.losses: list[float] = []
        self._batches = self._endless()

    def train(self, steps: int, after_step: Callable[[], None] = lambda: None) -> None:
        """Appends to `losses`."""
        for _ in range(steps):
            self.losses.append(self._step(next(self._batches)))
            after_step()

    def _endless(self):
        while True:
            yield from self.loader

    def _step(self, batch: dict[str, Tensor]) -> float:
        accelerator, settings = self.accelerator, self.settings
        with accelerator.accumulate(self.unet):
            pixels = batch["pixel_values"]
            eps = torch.randn_like(pixels)
            count = self.scheduler.config.num_train_timesteps
            timestep = torch.randint(0, count, (len(pixels),), device=pixels.device).long()
            noisy = self.scheduler.add_noise(pixels, eps, timestep)
            text = self.text_encoder(batch["input_ids"]).last_hidden_state
            target = eps
            if self.scheduler.config.prediction_type == "v_prediction":
                target = self.scheduler.get_velocity(pixels, eps, timestep)
            mask = batch["mask"] if settings.mask_text else None
            predicted = self.unet(
                noisy, timestep, text, encoder_attention_mask=mask, return_dict=False
            )[0]
            loss = F.mse_loss(predicted.float(), target.float(), reduction="mean")
            mean = accelerator.gather(loss.repeat(settings.batch_size)).mean().item()
            accelerator.backward(loss)
            accelerator.clip_grad_norm_(self.unet.parameters(), settings.max_grad_norm)
            self.optimizer.step()
            self.lr_scheduler.step()
            self.optimizer.zero_grad()
        self.average.step(self.unet.parameters())
        return mean


def fast_attention(device: torch.device) -> nn.Module | object:
    """Matrix products on a CPU, where the fused kernel's backward is slow; fused on a GPU."""
    from diffusers.models import attention_processor

    if device.type == "cpu":
        return attention_processor.AttnProcessor()
    return attention_processor.AttnProcessor2_0()
