"""Retrieval and zero-shot classification beside open_clip's and CLIP_benchmark's: equal numbers."""

from __future__ import annotations

import open_clip
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.references import accuracy_of_open_clip, recall_of_clip_benchmark
from tests.helpers.transformers_clip import small_clip
from textdiff.clip import image_features
from textdiff.clip.features import text_features
from textdiff.metrics import class_weights, image_text_retrieval, zero_shot_logits, zero_shot_ranks

AT = (1, 5, 10)


def captioned(images: int, captions: int, seed: int) -> tuple[torch.Tensor, ...]:
    """Unit features of images and of at least one caption each, and whose each caption is."""
    rng = torch.Generator().manual_seed(seed)
    more = torch.randint(images, (captions - images,), generator=rng)
    owner = torch.cat([torch.arange(images), more])[torch.randperm(captions, generator=rng)]
    pictures = F.normalize(torch.randn(images, 8, generator=rng), dim=1)
    texts = pictures[owner] + 0.5 * torch.randn(captions, 8, generator=rng)
    return pictures, F.normalize(texts, dim=1), owner


# Retrieval


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_one_caption_each_is_open_clips_metric(seed):
    """Of 41, so that the median is one of the ranks."""
    metrics = pytest.importorskip("open_clip_train.train")
    rng = torch.Generator().manual_seed(seed)
    images = F.normalize(torch.randn(41, 16, generator=rng), dim=1)
    texts = F.normalize(images + 0.4 * torch.randn(41, 16, generator=rng), dim=1)
    expected = metrics.get_clip_metrics(images, texts, torch.tensor(100.0))
    found = image_text_retrieval(images, texts, torch.arange(41)).directions()
    for way, ranking in found.items():
        assert 0 < expected[f"{way}_R@1"] < 1
        for k in AT:
            assert ranking.recall(k) == pytest.approx(expected[f"{way}_R@{k}"])
        assert ranking.ranks.double().mean().item() == pytest.approx(expected[f"{way}_mean_rank"])
        assert ranking.median == expected[f"{way}_median_rank"]


@settings(max_examples=20)
@given(st.integers(10, 30), st.integers(0, 60), st.integers(0, 10**6))
def test_several_captions_are_clip_benchmarks_recall(images, more, seed):
    pictures, texts, owner = captioned(images, images + more, seed)
    expected = recall_of_clip_benchmark(pictures, texts, owner, AT, batch_size=7)
    found = image_text_retrieval(pictures, texts, owner).directions()
    for way, ranking in found.items():
        for k in AT:
            assert ranking.recall(k) == pytest.approx(expected[f"{way} R@{k}"], rel=1e-6)


def test_what_is_written_out_is_clip_benchmarks_own_where_it_is_installed():
    theirs = pytest.importorskip("clip_benchmark.metrics.zeroshot_retrieval")
    pictures, texts, owner = captioned(20, 70, 0)
    scores, right = texts @ pictures.T, F.one_hot(owner, 20).bool()
    expected = recall_of_clip_benchmark(pictures, texts, owner, AT, batch_size=7)
    for k in AT:
        to_image = theirs.batchify(theirs.recall_at_k, scores, right, 7, "cpu", k=k)
        to_text = theirs.batchify(theirs.recall_at_k, scores.T, right.T, 7, "cpu", k=k)
        assert (to_image > 0).float().mean() == expected[f"text_to_image R@{k}"]
        assert (to_text > 0).float().mean() == expected[f"image_to_text R@{k}"]


# Zero-shot classification

CLASSES = ["apple", "blue car", "dog", "old house", "tree"]
TEMPLATES = ["a photo of a {}.", "a drawing of a {}", "{}"]


@pytest.fixture(scope="module")
def clip():
    return small_clip()


def open_clips_classifier(clip) -> torch.Tensor:
    """(D, C)."""
    tokenizer = open_clip.SimpleTokenizer(context_length=clip.context_length)
    return open_clip.build_zero_shot_classifier(clip.model, tokenizer, CLASSES, TEMPLATES, 2)


def our_weights(clip) -> torch.Tensor:
    prompts = [template.format(name) for name in CLASSES for template in TEMPLATES]
    return class_weights(text_features(clip, prompts).unflatten(0, (len(CLASSES), -1)))


def test_class_weights_are_open_clips(clip):
    torch.testing.assert_close(our_weights(clip), open_clips_classifier(clip).T)


def test_accuracies_of_pictures_are_open_clips(clip):
    rng = torch.Generator().manual_seed(0)
    pictures = torch.randint(0, 256, (40, 3, 16, 16), generator=rng).byte()
    labels = torch.randint(len(CLASSES), (40,), generator=rng)
    ours = zero_shot_logits(image_features(clip, pictures), our_weights(clip))
    with torch.no_grad():
        features = clip.model.encode_image(pictures / 127.5 - 1, normalize=True)
        theirs = 100 * features @ open_clips_classifier(clip)
    # 100 times a cosine: one CLIP's features twice, in batches of other sizes
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-4)
    expected = accuracy_of_open_clip(theirs, labels, at=(1, 2))
    ranks = zero_shot_ranks(ours, labels)
    assert [int((ranks <= k).sum()) for k in (1, 2)] == expected
    assert 0 < expected[0] < expected[1] < 40
