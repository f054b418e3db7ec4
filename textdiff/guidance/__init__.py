"""Guidance: each maps a Denoise to a Denoise; a correction adjusts what guidance made of it."""

# not lazily: a function with its file's name would be hidden by the file once that is imported
from textdiff.guidance.classifier_free import classifier_free
from textdiff.guidance.interval import interval
from textdiff.guidance.rescale import rescale

__all__ = ["classifier_free", "interval", "rescale"]
