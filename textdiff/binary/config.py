"""Settings of binary diffusion."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from textdiff.config import Settings

BinaryPredicts = Literal["x_0", "posterior"]


class BinaryConfig(Settings):
    """How pixels flip, and what a network says about them; see `binary.schedule` and
    `binary.prediction`.

    `predicts: posterior` is the idea of `prediction: mean` in Gaussian diffusion: the network says
    how x_{t-1} is distributed. A mean can be solved for x_0 and so serves every grid; log-odds of
    x_{t-1} may fit no distribution of x_0, so they serve single steps only.
    """

    schedule: Literal["cosine", "linear", "constant"] = Field(
        "cosine",
        description="how the correlation with x_0 falls: as a quarter of a cosine or evenly, both "
        "to exactly 0, or by the same factor at each step",
    )
    num_timesteps: int = Field(
        1000, ge=1, le=100_000, description="T, steps of the forward process"
    )
    delta: float | None = Field(
        None, gt=0, le=0.5, description="constant: probability that a step flips a pixel"
    )
    predicts: BinaryPredicts = Field(
        "x_0",
        description="what the network's logits are of: the clean pixel, or the pixel one step "
        "before (which allows no fewer sampling steps than T)",
    )
    threshold: float = Field(
        0.5, gt=0, lt=1, description="pictures: from this grey on a pixel is white, +1"
    )

    @model_validator(mode="after")
    def _check(self) -> BinaryConfig:
        if (self.schedule == "constant") != (self.delta is not None):
            raise ValueError(
                f"schedule is {self.schedule} and delta is "
                f"{'not ' if self.delta is None else ''}given; "
                "schedule: constant goes with delta, the others without"
            )
        return self
