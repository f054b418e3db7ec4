"""What protocols are made of, with values of our choice."""

from __future__ import annotations

from textdiff.evaluation.protocol import ClipProtocol, DataProtocol, ModelProtocol

MODEL = ModelProtocol("model", 6, "123", "456", 16)
CLIP = ClipProtocol("judge", "789", 16)
DATA = DataProtocol("shapes", "train", 8, 16, "pad", "box", "f")
