from .run import TrainingSpec as TrainingSpec
from .run import run_training as run_training
from .settings.clip import TrainClipSettings as TrainClipSettings
from .settings.noised_clip import FinetuneClipSettings as FinetuneClipSettings
from .settings.text_to_image import TrainSettings as TrainSettings
from .specs.clip import clip_spec as clip_spec
from .specs.noised_clip import noised_clip_spec as noised_clip_spec
from .specs.text_to_image import text_to_image_spec as text_to_image_spec
