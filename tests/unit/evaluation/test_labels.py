"""Labels of points: none covers another, or a point."""

from __future__ import annotations

import numpy as np
import pytest

from textdiff.evaluation.figures import figure
from textdiff.evaluation.labels import APART, place_labels

pytest.importorskip("matplotlib")


def test_labels_cover_neither_each_other_nor_points(tmp_path):
    rng = np.random.default_rng(0)
    points = [tuple(point) for point in rng.normal(size=(20, 2))]
    with figure(tmp_path / "labels.png", 6, 5, "a test") as drawn:
        axes = drawn.subplots()
        axes.plot(*zip(*points, strict=True), "o")
        placed = place_labels(axes, points, [f"{k}, 2.5" for k in range(20)])
        boxes = [label.get_window_extent() for label in placed]
        for k, box in enumerate(boxes):
            room = box.padded(0.99 * APART * axes.get_figure().dpi / 72)
            assert not room.count_overlaps(boxes[k + 1 :])
            assert not any(box.contains(*axes.transData.transform(point)) for point in points)
    assert len(placed) == 20
