"""DDIM inversion: pictures to noise and back, and how far off they come out.

    picture ── invert, N steps ──► noise ── DDIM, the same N steps ──► picture again

Guidance is off (scale 1.0) and x_0_hat is not clipped: either would make the way back another than
the way there. The caption of each picture is its prompt. The noise of real pictures is no draw of
N(0, I): flat areas hold less noise than any drawn x_t, so its standard deviation, shown beside the
errors, stays below 1.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from textdiff.config import Settings, build
from textdiff.data.config import DataConfig
from textdiff.pipeline.config import SamplingConfig
from textdiff.sampling.config import Spacing

if TYPE_CHECKING:
    from torch import Tensor

    from textdiff.evaluation.drawn import Judged
    from textdiff.pipeline import TextToImage

NOISE_RANGE = 3.0  # standard deviations shown as black to white


class InversionSettings(Settings):
    """Protocol: `num_pictures` pictures of the split, chosen by `picture_seed`."""

    model: str = Field(description="run folder or exported model")
    data: DataConfig = DataConfig()
    split: Literal["train", "val", "test", "all"] = Field(
        "test", description="split whose pictures are inverted"
    )
    num_pictures: int = Field(64, ge=2, description="pictures")
    picture_seed: int = Field(0, description="which pictures")
    num_steps: list[int] = Field(
        [10, 25, 50, 100], min_length=1, description="steps each way, one row of the table each"
    )
    spacing: Spacing = Field("trailing", description="which timesteps are visited")
    batch_size: int = Field(64, ge=1, description="pictures inverted at once")
    device: str = Field("auto", description="cpu, cuda, mps; auto: the fastest there is")
    grid: str | None = Field(
        None, description="show the first pictures, their noise and reconstructions here"
    )
    grid_pictures: int = Field(4, ge=1, description="how many of them")
    json: str | None = Field(None, description="write numbers and protocol here")


def run(settings: InversionSettings) -> None:
    """Load, invert, draw again, compare.

    Raises:
        UsageError: more steps than the schedule has, data of another size than the model's, or a
            binary model.
    """
    from textdiff.data import open_data
    from textdiff.devices import pick_device
    from textdiff.errors import UsageError
    from textdiff.evaluation import report
    from textdiff.evaluation.drawn import real_pictures
    from textdiff.files import check_file
    from textdiff.pipeline import TextToImage

    check_file("--json", settings.json)
    check_file("--grid", settings.grid)
    data = open_data(settings.data, settings.split)
    pipe = TextToImage.load(settings.model, pick_device(settings.device))
    if pipe.config.process != "gaussian":
        raise UsageError(
            f"--model {settings.model}: a binary model has no DDIM, whose inversion this is; "
            "give a model of process gaussian"
        )
    report.check_image_size(data, pipe)
    grids = {count: pipe.plan([], sampling(settings, count)).grid for count in settings.num_steps}
    real = real_pictures(data, settings.num_pictures, settings.picture_seed, pipe)

    results, rows, shown = {}, [], []
    for count, grid in grids.items():
        noise, again = there_and_back(pipe, real, grid, settings.batch_size)
        numbers = {name: report.interval(v) for name, v in errors(real.images, again).items()}
        results[str(count)] = {**numbers, "noise_std": noise.std().item()}
        told = [shown_interval(value) for value in numbers.values()]
        rows.append([str(count), *told, f"{noise.std():.2f}"])
        shown.append((f"{count} steps", noise, again))
    report.show(
        f"DDIM inversion of {len(real.prompts)} pictures of {data.name}, split {data.split}",
        ["steps", "RMSE of 255 (95% interval)", "PSNR in dB (95% interval)", "std of the noise"],
        rows,
    )
    if settings.grid:
        draw_grid(Path(settings.grid), pipe, real, shown, settings.grid_pictures)
        print(f"pictures: {settings.grid}")
    report.write_json(
        settings.json,
        {
            "metric": "DDIM inversion: RMSE of 255 and PSNR in dB per picture, by steps each way",
            "pictures": len(real.prompts),
            "picture_seed": settings.picture_seed,
            "guidance_scale": 1.0,
            "threshold": "none",
            "spacing": settings.spacing,
            "model": report.describe_model(settings.model, pipe),
            "data": report.describe_data(data),
            "results": results,
        },
    )


def sampling(settings: InversionSettings, num_steps: int) -> SamplingConfig:
    """The settings of one way."""
    way = {"num_steps": num_steps, "spacing": settings.spacing}
    return build(SamplingConfig, [("--num-steps", way)])


def there_and_back(
    pipe: TextToImage, real: Judged, grid: Tensor, batch_size: int
) -> tuple[Tensor, Tensor]:
    """The noise of each picture, and the pictures drawn from it: (n, C, H, W) float32 on the CPU,
    unclipped."""
    import torch

    from textdiff.sampling import DDIM, invert, sample

    device, noises, drawn = next(pipe.unet.parameters()).device, [], []
    for start in range(0, len(real.prompts), batch_size):
        rows = slice(start, start + batch_size)
        denoise = pipe.denoiser(pipe.clip.conditioning(real.prompts[rows]), grid)
        x_0 = real.images[rows].to(device).float() / 127.5 - 1
        *_, up = invert(denoise, pipe.schedule, grid, x_0)
        *_, down = sample(denoise, pipe.schedule, DDIM(), grid, up.x_t, no_noise)
        noises.append(up.x_t.cpu())
        drawn.append(down.x_t.cpu())
    return torch.cat(noises), torch.cat(drawn)


def no_noise() -> Tensor:
    raise AssertionError("DDIM with eta 0 draws no noise")


def errors(pictures: Tensor, again: Tensor) -> dict[str, Tensor]:
    """RMSE in units of 0..255 and PSNR in dB of each picture, (n,).

    pictures: (n, C, H, W) uint8; again: the same in [-1, 1], neither clipped nor rounded.
    """
    difference = (again.double() + 1) * 127.5 - pictures
    rmse = difference.square().flatten(1).mean(1).sqrt()
    return {"rmse": rmse, "psnr": 20 * (255 / rmse).log10()}


def shown_interval(value: dict[str, float]) -> str:
    return f"{value['mean']:.2f} ({value['low']:.2f} to {value['high']:.2f})"


def draw_grid(
    path: Path,
    pipe: TextToImage,
    real: Judged,
    shown: list[tuple[str, Tensor, Tensor]],
    count: int,
) -> None:
    """A row per picture: the original, then noise and reconstruction for each number of steps."""
    from textdiff.data import labelled_grid, to_pil
    from textdiff.files import replacing

    pictures, labels = [], []
    for k in range(min(count, len(real.prompts))):
        pictures += to_pil(real.images[k : k + 1])
        labels.append(real.prompts[k])
        for name, noise, again in shown:
            rmse = errors(real.images[k : k + 1], again[k : k + 1])["rmse"].item()
            pictures += to_pil(pipe.codec.decode(noise[k : k + 1] / NOISE_RANGE))
            pictures += to_pil(pipe.codec.decode(again[k : k + 1]))
            labels += [f"noise, {name}", f"back, RMSE {rmse:.1f}"]
    with replacing(path) as temporary:
        labelled_grid(pictures, labels, columns=1 + 2 * len(shown)).save(temporary, format="PNG")
