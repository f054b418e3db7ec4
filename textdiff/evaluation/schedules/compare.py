"""Which schedules are compared, on which picture; and their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import UInt8
from torch import Tensor

from textdiff.config import build
from textdiff.data import BadImage, decode_image, open_data
from textdiff.data.config import DataConfig
from textdiff.diffusion import NoiseSchedule
from textdiff.diffusion.config import ScheduleConfig
from textdiff.errors import UsageError
from textdiff.evaluation.tables import print_table

Picture = UInt8[Tensor, "3 height width"]


@dataclass(frozen=True)
class Compared:
    """A schedule by name. zero_terminal: its version of zero terminal SNR, if asked for."""

    name: str
    schedule: NoiseSchedule
    zero_terminal: NoiseSchedule | None


def compared_schedules(
    names: Sequence[str],
    num_timesteps: int,
    betas: Sequence[float] | None = None,
    *,
    zero_terminal_snr: bool = True,
) -> list[Compared]:
    """Those of `names` of T `num_timesteps`, and one of the user's `betas`. Raises UsageError."""
    configs = [ScheduleConfig(name=name, num_timesteps=num_timesteps) for name in names]
    if betas:
        explicit = {"name": "explicit", "betas": betas}
        configs.append(build(ScheduleConfig, [("--betas", explicit)]))
    plain = {config.name: NoiseSchedule.from_config(config) for config in configs}
    return [
        Compared(name, each, each.with_zero_terminal_snr() if zero_terminal_snr else None)
        for name, each in plain.items()
    ]


def load_picture(data: DataConfig, index: int, path: str | None = None) -> Picture:
    """(3, S, S) uint8: the file `path`, else number `index` of the data.

    Raises:
        DataError: it cannot be used. UsageError: the data have no picture of this index.
    """
    if path is not None:
        try:
            return decode_image(path, data)
        except BadImage as error:
            raise BadImage(error.reason, path) from error
    source = open_data(data, "all")
    if index >= len(source):
        raise UsageError(f"--index {index}: {source.name} has {len(source)} images, from 0")
    return source.image(index)


def print_schedules(schedules: Sequence[Compared]) -> None:
    """alphas_cumprod of each at T/4, T/2, 3T/4 and T-1."""
    rows = []
    for each in schedules:
        versions = {each.name: each.schedule}
        if each.zero_terminal:
            versions[f"{each.name}, zero terminal SNR"] = each.zero_terminal
        for name, schedule in versions.items():
            T = schedule.num_timesteps
            values = schedule.alphas_cumprod[[T // 4, T // 2, 3 * T // 4, T - 1]]
            rows.append([name, *(f"{value:.3g}" for value in values.tolist())])
    print_table("alphas_cumprod", ["schedule", "t = T/4", "T/2", "3T/4", "T-1"], rows)
