"""Metrics: pure functions on features and scores. The protocol around a number is the eval's."""

from textdiff._lazy import lazy_exports

__getattr__, __all__ = lazy_exports(
    __name__,
    {
        "Bound": "likelihood",
        "Estimate": "bootstrap",
        "Ranking": "retrieval",
        "Retrieval": "retrieval",
        "chance_recall": "retrieval",
        "class_weights": "zero_shot",
        "clip_scores": "clip_score",
        "cmmd": "distribution",
        "estimate": "bootstrap",
        "estimate_mean": "bootstrap",
        "estimate_means": "bootstrap",
        "estimate_statistic": "bootstrap",
        "frechet_distance": "distribution",
        "image_text_retrieval": "retrieval",
        "kid": "distribution",
        "mean_over_images": "bootstrap",
        "prompt_following": "retrieval",
        "ranks": "retrieval",
        "zero_shot_logits": "zero_shot",
        "zero_shot_ranks": "zero_shot",
    },
)
