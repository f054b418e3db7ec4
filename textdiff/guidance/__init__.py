"""Guidance: each maps a Denoise to a Denoise; a correction adjusts what guidance made of it."""

# not lazily: a function with its file's name would be hidden by the file once that is imported
from textdiff.guidance.classifier_free import classifier_free
from textdiff.guidance.clip_gradient import at_x_0, at_x_t
from textdiff.guidance.interval import interval, only_at
from textdiff.guidance.rescale import rescale
from textdiff.guidance.similarity import similarity

__all__ = [
    "at_x_0",
    "at_x_t",
    "classifier_free",
    "interval",
    "only_at",
    "rescale",
    "similarity",
]
