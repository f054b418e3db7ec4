"""Guidance: each function takes a Denoise and returns a Denoise."""

# not lazily: a function with its file's name would be hidden by the file once that is imported
from textdiff.guidance.classifier_free import classifier_free

__all__ = ["classifier_free"]
