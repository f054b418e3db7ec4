"""What other libraries' numbers do that ours do not, each on the smallest case that shows it.

docs/metrics.md lists them. A test that fails after an update of such a library says that its row
there is out of date.
"""

from __future__ import annotations

import warnings

import pytest
import torch
import torch.nn.functional as F

from benchmarks.references import (
    accuracy_of_open_clip,
    cmmd_of_reference,
    recall_of_clip_benchmark,
)
from tests.helpers.inception import random_weights
from tests.helpers.peers import (
    clip_score_of_torchmetrics,
    fid_of_torchmetrics,
    kid_of_torch_fidelity,
    kid_of_torchmetrics,
    sets,
)
from tests.helpers.transformers_clip import (
    FeaturesOf,
    clip_to_transformers,
    processor_of,
    small_clip,
)
from textdiff.clip.features import text_features
from textdiff.evaluation.features.inception import SEEN
from textdiff.evaluation.features.preprocess import to_square
from textdiff.metrics import (
    clip_scores,
    cmmd,
    frechet_distance,
    image_text_retrieval,
    kid,
    too_few,
    zero_shot_ranks,
)

# CLIP score


def test_torchmetrics_lets_a_negative_pair_lower_the_score_of_others():
    """The paper cuts each pair at 0; torchmetrics cuts the mean."""
    images = torch.tensor([[1.0, 0], [1, 0]])
    texts = torch.tensor([[1.0, 0], [-1, 0]])
    assert clip_scores(images, texts).mean().item() == pytest.approx(50)
    assert clip_score_of_torchmetrics(images, texts) == pytest.approx(0)


def test_torchmetrics_cuts_the_end_token_off_long_captions():
    """transformers then reads the start token, which has seen no word: all long captions score the
    same. Ours are cut before the end token, and counted."""
    multimodal = pytest.importorskip("torchmetrics.multimodal.clip_score")
    clip = small_clip()
    long = ["red apple " * 20, "a blue car in the rain " * 20]
    model, processor = FeaturesOf(clip_to_transformers(clip)), processor_of(clip)
    picture = torch.full((3, 16, 16), 9, dtype=torch.uint8)

    def score(caption: str) -> float:
        metric = multimodal.CLIPScore(lambda: (model, processor))
        with pytest.warns(UserWarning, match="caption longer than"):
            metric.update([picture, picture], [caption, caption])
        return (metric.score / metric.n_samples).item()

    assert score(long[0]) == score(long[1])
    ours = F.normalize(text_features(clip, long), dim=1)
    assert (ours[0] - ours[1]).abs().max() > 0.01
    assert clip.tokenize(long).num_truncated == 2


# Retrieval and classification


def open_clip_metrics(images: torch.Tensor, texts: torch.Tensor) -> dict[str, float]:
    train = pytest.importorskip("open_clip_train.train")
    return train.get_clip_metrics(images, texts, torch.tensor(1.0))


def test_open_clip_and_clip_benchmark_find_what_cannot_be_told_apart():
    """Of a collapsed CLIP all features are equal: where a candidate stands decides."""
    same, own = torch.ones(10, 4) / 2, torch.arange(10)
    assert open_clip_metrics(same, same)["image_to_text_R@10"] == 1
    assert open_clip_metrics(same, same)["image_to_text_R@5"] == pytest.approx(0.5)
    theirs = recall_of_clip_benchmark(same, same, own, at=[5])
    assert theirs["image_to_text R@5"] == pytest.approx(0.5)
    assert image_text_retrieval(same, same, own).image_to_text.recall(5) == 0


def test_open_clip_finds_texts_whose_features_are_not_numbers():
    """NaN sorts before every number."""
    images, texts = torch.eye(3), torch.eye(3)
    texts[1] = torch.nan
    theirs = open_clip_metrics(images[1:2].expand(3, 3), texts)
    found = image_text_retrieval(images, texts, torch.arange(3)).image_to_text
    assert theirs["image_to_text_R@1"] == pytest.approx(1 / 3)
    assert found.ranks[1] == 3


def test_open_clip_counts_the_other_captions_of_a_picture_as_wrong():
    """Two captions each, a picture once per caption, as its loader gives them: the captions of
    either picture come first, and half of them count."""
    images, owner = torch.eye(2), torch.tensor([0, 0, 1, 1])
    texts = F.normalize(torch.tensor([[1.0, 0.1], [1, 0.2], [0.1, 1], [0.2, 1]]), dim=1)
    theirs = open_clip_metrics(images[owner], texts)
    assert theirs["image_to_text_R@1"] == 0.5
    assert image_text_retrieval(images, texts, owner).image_to_text.recall(1) == 1


def test_open_clip_rounds_the_median_rank_down():
    """Of the ranks 1 and 2."""
    images = torch.eye(2)
    texts = torch.tensor([[1.0, 0], [1.1, 1]])
    found = image_text_retrieval(images, texts, torch.arange(2)).text_to_image
    theirs = open_clip_metrics(images, texts)
    assert found.ranks.tolist() == [1, 2]
    assert (theirs["text_to_image_median_rank"], found.median) == (1, 1.5)


def test_clip_benchmark_stops_where_k_is_more_than_the_candidates():
    few, own = torch.eye(4), torch.arange(4)
    with pytest.raises(RuntimeError, match="out of range"):
        recall_of_clip_benchmark(few, few, own, at=[10])
    assert image_text_retrieval(few, few, own).image_to_text.recall(10) == 1


@pytest.mark.parametrize("value", [0.0, torch.nan])
def test_open_clips_accuracy_is_full_for_one_class_of_a_model_that_says_nothing(value):
    """All logits equal, or none a number: pictures of one class are all right."""
    logits = torch.full((6, 4), value)
    labels = [torch.full((6,), label) for label in range(4)]
    theirs = [accuracy_of_open_clip(logits, each)[0] / 6 for each in labels]
    assert sorted(theirs) == [0, 0, 0, 1]
    assert all((zero_shot_ranks(logits, each) == 4).all() for each in labels)


# Distances of sets


@pytest.mark.parametrize("library", ["torchmetrics", "torch-fidelity"])
def test_kid_of_random_subsets_is_another_number_for_each_seed(library):
    """The default of both; the mean over many subsets is ours, which has no such noise."""
    x, y = sets(200, 200)

    def theirs(seed: int) -> float:
        if library == "torch-fidelity":
            options = {"kid_subsets": 10, "kid_subset_size": 50, "rng_seed": seed}
            return kid_of_torch_fidelity(x, y, **options)
        torch.manual_seed(seed)
        return kid_of_torchmetrics(x, y, subsets=10, subset_size=50)

    found = torch.tensor([theirs(seed) for seed in range(40)]).double()
    assert found.std() > 0.01 * abs(kid(x, y))
    assert abs(found.mean().item() - kid(x, y)) < 3 * found.std().item() / 40**0.5


def test_the_reference_of_cmmd_loses_small_distances_in_float32():
    """It subtracts means near 1; ours are of the kernel less a constant."""
    rng = torch.Generator().manual_seed(0)
    x, y = (F.normalize(torch.randn(600, 64, generator=rng) + 0.5, dim=1) for _ in range(2))
    exact = cmmd_of_reference(x.double(), y.double())
    assert abs(cmmd_of_reference(x, y) - exact) > 1e-4 * exact
    assert cmmd(x, y) == pytest.approx(exact, rel=1e-6)


def test_torchmetrics_gives_a_frechet_distance_of_three_pictures_without_a_word():
    """From one distribution: the distance is mostly the bias of so few."""
    _, y = sets(3, 5000)
    few = y[:3]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        biased = fid_of_torchmetrics(few, y)
    assert biased > 20 * fid_of_torchmetrics(y[:2500], y[2500:])
    assert frechet_distance(few, y) == pytest.approx(biased, rel=1e-4)
    assert "biased upwards" in too_few("frechet", drawn=3, real=5000, dim=12)[0]


# Pictures


def stripes(phase: int) -> torch.Tensor:
    """White columns of one pixel, every other, (1, 3, 598, 598) uint8."""
    picture = torch.zeros(1, 3, 598, 598, dtype=torch.uint8)
    picture[..., phase::2] = 255
    return picture


def test_fids_resize_is_not_antialiased_and_stripes_vanish():
    """As in TensorFlow 1, which published numbers have: black or white by one pixel's shift."""
    compat = pytest.importorskip("torch_fidelity.interpolate_compat_tensorflow")
    resize = compat.interpolate_bilinear_2d_like_tensorflow1x
    for phase, level in ((0, 1), (1, 0)):
        pixels = stripes(phase).float() / 255
        assert (resize(pixels, size=(299, 299), align_corners=False) == level).all()
        antialiased = to_square(pixels, SEEN)
        inside = antialiased[..., 8:-8]
        torch.testing.assert_close(inside, torch.full_like(inside, 0.5), atol=0.01, rtol=0)


def test_fid_of_torchmetrics_and_of_torch_fidelity_resize_in_two_ways(tmp_path):
    """Of one network: features of stripes are those of white in one, of grey in the other. Ours are
    torch-fidelity's, whose numbers are the published ones."""
    fidelity = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    image = pytest.importorskip("torchmetrics.image.fid")
    file = tmp_path / "weights.pth"
    torch.save(random_weights(), file)
    one = fidelity.FeatureExtractorInceptionV3("i", ["64"], str(file))
    other = image.NoTrainInceptionV3("i", ["64"], str(file))
    white = torch.full((1, 3, 299, 299), 255, dtype=torch.uint8)
    with torch.no_grad():
        of_white, theirs, apart = one(white)[0], one(stripes(0))[0], other(stripes(0))
    torch.testing.assert_close(theirs, of_white)
    assert (apart - of_white).norm() > 0.2 * of_white.norm()
