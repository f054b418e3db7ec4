"""Names of the sampling room that settings use."""

from __future__ import annotations

from typing import Literal

Spacing = Literal["trailing", "leading", "linspace", "log_snr", "karras"]
