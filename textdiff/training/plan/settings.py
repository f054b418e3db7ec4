"""Settings of `textdiff plan`: those of a training, and what is to be known of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Literal, get_args

import pydantic
from pydantic import Field, model_validator

from textdiff.config import Settings, config_file, leaves, read_yaml, short_flags
from textdiff.training.config import TrainConfig
from textdiff.training.plan.gpus import GpuKind
from textdiff.training.settings.clip import TrainClipSettings
from textdiff.training.settings.noised_clip import FinetuneClipSettings
from textdiff.training.settings.prior import TrainPriorSettings
from textdiff.training.settings.text_to_image import TrainSettings
from textdiff.training.settings.vae import TrainVaeSettings

TaskName = Literal["train", "train-clip", "finetune-clip", "train-prior", "train-vae"]
SCHEMAS: dict[TaskName, type[Settings]] = {
    "train": TrainSettings,
    "train-clip": TrainClipSettings,
    "finetune-clip": FinetuneClipSettings,
    "train-prior": TrainPriorSettings,
    "train-vae": TrainVaeSettings,
}
assert tuple(SCHEMAS) == get_args(TaskName)
# the utilisation that a U-Net of 100M parameters reached on an H200, see docs/speed.md
MEASURED_UTILISATION = 0.17


class PlanOptions(Settings):
    """What `textdiff plan` takes beside the settings of the training."""

    task: TaskName | None = Field(
        None, description="command of the training; none: the first that has all settings given"
    )
    gpu: list[GpuKind] = Field(
        [],
        description="kinds of GPU to plan for, by memory and FLOPs; none, and no gpu_memory: this "
        "machine, as measured",
    )
    gpu_memory: float | None = Field(
        None, gt=0, description="GB (10^9 bytes) of a GPU to plan for, of no kind that is named"
    )
    gpus: int = Field(1, ge=1, description="how many of them train together")
    utilisation: float = Field(
        MEASURED_UTILISATION,
        gt=0,
        le=1,
        description="share of a GPU's peak in FLOP/s that training reaches; the default is "
        "measured, of a U-Net of 100M parameters on an H200",
    )
    images: float | None = Field(
        None, gt=0, description="pictures to train on in all; none: those of the settings' steps"
    )
    data_images: int | None = Field(
        None,
        ge=1,
        description="plan for so many pictures of the data in place of looking at them: they need "
        "not be here",
    )
    run_dir: str = Field("", description="has no say in a plan")
    json: str | None = Field(None, description="write the plan here too")  # type: ignore[assignment]

    @model_validator(mode="after")
    def _one_way(self) -> PlanOptions:
        if len(set(self.gpu)) < len(self.gpu):
            raise ValueError(f"gpu {' '.join(self.gpu)} names one twice")
        if self.gpus > 1 and not self.on_gpu:
            raise ValueError(f"gpus {self.gpus} of which kind? name it with gpu")
        return self

    @property
    def on_gpu(self) -> bool:
        """Whether the plan is for a GPU that need not be here."""
        return bool(self.gpu) or self.gpu_memory is not None


@cache
def schema_of(task: TaskName) -> type[Settings]:
    """The settings of a training with those of a plan."""
    name = f"Plan{SCHEMAS[task].__name__}"
    return pydantic.create_model(name, __base__=(PlanOptions, SCHEMAS[task]))


def schema_for(argv: Sequence[str]) -> type[Settings]:
    """The schema of a command line: of the task that it names, or of the first that has all
    settings in its files and flags; of `train` where none has, so that the error names what is
    wrong.

    Raises:
        UsageError: a file that cannot be read.
    """
    values = dict(_flags(argv))
    if (named := values.get("--task")) in SCHEMAS:
        return schema_of(named)
    keys = set[str]()
    for flag, value in _flags(argv):
        if flag == "--config":
            keys |= set(_dotted(read_yaml(config_file(value))))
    flags = {flag for flag in values if flag not in ("--config", "--help")}
    fitting = (schema for schema in map(schema_of, SCHEMAS) if _knows(schema, keys, flags))
    return next(fitting, schema_of("train"))


def task_of(settings: Settings) -> TaskName:
    """Whose training a plan's settings are of."""
    return next(task for task in SCHEMAS if isinstance(settings, schema_of(task)))


def training_settings(settings: Settings) -> Settings:
    """Those of the training alone; what was left out stays so."""
    schema = SCHEMAS[task_of(settings)]
    given = {
        name: getattr(settings, name)
        for name in settings.model_fields_set & schema.model_fields.keys()
    }
    return schema.model_construct(_fields_set=set(given), **given)


def train_of(settings: Settings) -> TrainConfig:
    """Every training has it."""
    train = settings.train  # type: ignore[attr-defined]
    assert isinstance(train, TrainConfig)
    return train


def _flags(argv: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(flag as it is spelled in `--help`, its first value) in order."""
    for number, word in enumerate(argv):
        if word.startswith("--"):
            flag, equals, value = word.partition("=")
            after = argv[number + 1] if number + 1 < len(argv) else ""
            yield flag.replace("_", "-"), value if equals else after


def _dotted(tree: Mapping[Any, Any], prefix: str = "") -> Iterator[str]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _dotted(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def _knows(schema: type[Settings], keys: set[str], flags: set[str]) -> bool:
    shorter = short_flags(schema)
    spelled = {flag for names in shorter.values() for flag in names}
    spelled |= {"--" + key.replace("_", "-") for key, _ in leaves(schema)}
    known = {key for key, _ in leaves(schema)}
    known |= {flag.removeprefix("--").replace("-", "_") for flag in spelled}
    return keys <= known and flags <= spelled
