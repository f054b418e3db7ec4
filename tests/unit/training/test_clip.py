"""What a CLIP's run suggests next: the same data, all of it."""

from textdiff.config import build
from textdiff.data import DataConfig
from textdiff.training.settings.clip import TrainClipSettings
from textdiff.training.specs.clip import _next_steps


def test_the_next_command_names_all_settings_of_the_data():
    data = DataConfig(source="scenes", level="relations", object_names=["pig", "hot dog"], seed=3)
    settings = build(TrainClipSettings, [("test", {"run_dir": "runs/clip"})])
    command = _next_steps(settings.model_copy(update={"data": data}))[
        "a U-Net on its text embeddings"
    ]
    assert command == [
        *("train", "--clip", "runs/clip", "--data", "scenes", "--data.image-size", "32"),
        *("--data.level", "relations", "--data.object-names", "pig", "hot dog"),
        *("--data.seed", "3", "--run-dir", "runs/clip-model"),
    ]
