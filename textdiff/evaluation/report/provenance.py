"""What the numbers depend on and how to have them again: command, protocol, hashes, settings."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from textdiff.config import Settings, to_yaml
from textdiff.evaluation.protocol import (
    ClipProtocol,
    DataProtocol,
    ModelProtocol,
    sampling_protocol,
    versions,
)
from textdiff.evaluation.report.document import Block, Facts, Missing, Part, Section, Text
from textdiff.evaluation.report.run_files import RunFiles
from textdiff.evaluation.report.settings import ReportSettings
from textdiff.evaluation.results import OMIT_NONE, to_json
from textdiff.evaluation.vae.result import VaeModelProtocol

PLACES = ("out", "json")  # where results go: nobody else's, so not in the command


@dataclass(frozen=True)
class Measured:
    """What was measured, by what, on what; empty where nothing was. prompts: how many, by split."""

    model: ModelProtocol | None = None
    vae: Annotated[VaeModelProtocol | None, OMIT_NONE] = None
    clips: Sequence[ClipProtocol] = ()
    data: Mapping[str, DataProtocol] = field(default_factory=dict)
    prompts: Mapping[str, int] = field(default_factory=dict)


def provenance(settings: ReportSettings, run: RunFiles, measured: Measured) -> Part:
    """The last section, and the protocol of all numbers."""
    blocks: list[Block] = [Text("The command that repeats it", command(settings), folded=False)]
    if measured.model:
        blocks.append(Facts("Model", flat(to_json(measured.model))))
    if measured.vae:
        blocks.append(Facts("VAE", flat(to_json(measured.vae))))
    for clip in measured.clips:
        blocks.append(Facts(f"CLIP {clip.name}", flat(to_json(clip))))
    for split, data in measured.data.items():
        blocks.append(Facts(f"Data, split {split}", flat(to_json(data))))
    weights = [(file.name, f"{file.sha256} ({file.size:,} bytes)") for file in run.weights]
    if weights:
        blocks.append(Facts("Weights, sha256 as the manifest has them", weights))
    blocks.append(Facts("Versions", list(versions().items())))
    if run.config is None:
        why = "the folder has no config.yaml"
        blocks.append(Missing("Settings of the training", why, "A run folder has it"))
    else:
        blocks.append(Text("Settings of the training, config.yaml", run.config))
    blocks.append(Text("Settings of this report", to_yaml(settings)))
    lead = "Every number above is of these weights, pictures and settings."
    section = Section("protocol", "Protocol", lead, blocks)
    numbers = {
        "command": command(settings),
        **to_json(measured),
        "prompt_seed": settings.prompt_seed,
        "num_images": settings.num_images,
        "sampling": sampling_protocol(settings) if measured.prompts else None,
        "weights": to_json(run.weights),
        "config": run.config,
    }
    return Part(section, numbers=numbers)


def command(settings: ReportSettings) -> str:
    """With every flag that was given, those of `--config` files written out."""
    given = settings.model_dump(mode="json", exclude_unset=True, exclude=set(PLACES))
    words = ["textdiff", "report"]
    for key, value in leaves_of(given, settings):
        flag = "--" + key.replace("_", "-")
        values = value if isinstance(value, list) else [value]
        words += flagged(flag, [_word(each) for each in values])
    return shlex.join(words)


def flagged(flag: str, values: Sequence[str]) -> list[str]:
    """A value that looks like a flag is joined to its own."""
    if len(values) == 1 and values[0].startswith("-"):
        return [f"{flag}={values[0]}"]
    return [flag, *values] if values else []


def leaves_of(given: Mapping[str, Any], settings: Settings) -> Iterator[tuple[str, Any]]:
    """(dotted key, value), sections opened up."""
    for name, value in given.items():
        section = getattr(settings, name)
        if isinstance(section, Settings):
            yield from ((f"{name}.{key}", each) for key, each in leaves_of(value, section))
        else:
            yield name, value


def _word(value: object) -> str:
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def flat(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name.replace("_", " "), _word(value)) for name, value in values.items()]
