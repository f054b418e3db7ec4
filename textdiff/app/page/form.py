"""The settings of a drawing as fields, and back: what a user can set, and a picture's settings.

    fields ──► values ── Form.request ──► DrawRequest ── Form.updates ──► fields

The common settings have a field each. All others can be typed as `key: value` lines, so that the
settings of every picture can be shown, changed and drawn again.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import gradio as gr
import yaml
from gradio.components import Component

from textdiff.app.engine import Engine
from textdiff.app.request import DrawRequest
from textdiff.errors import UsageError
from textdiff.pipeline.config import flat_settings
from textdiff.plain_yaml import parse_yaml

OWN_CLIP = "the model's own"
NEWEST = "newest"
SEEDS = 1 << 31  # as many as a fresh one is chosen from
WORDS = 2000  # letters of "other settings"

Values = Mapping[str, Any]
FieldT = TypeVar("FieldT", bound=Component)


def fresh_seed() -> int:
    return secrets.randbelow(SEEDS)


@dataclass
class Form:
    """Fields by the name of their setting, in the order in which events take them.

    prefix: of the ids of the fields, "draw" for "draw-prompt".
    """

    engine: Engine
    prefix: str
    fields: dict[str, Component] = field(default_factory=dict)

    @property
    def components(self) -> list[Component]:
        return list(self.fields.values())

    def values(self, given: Sequence[Any]) -> dict[str, Any]:
        """What an event was given for `components`, by name."""
        return dict(zip(self.fields, given, strict=True))

    def add(self, name: str, component: FieldT) -> FieldT:
        """Registers a field for the setting `name`."""
        component.elem_id = f"{self.prefix}-{name}"
        self.fields[name] = component
        return component

    # Parts of the form, each called where it is to stand.

    def model(self) -> None:
        """Which model, where there are several, and which of its checkpoints."""
        names = self.engine.models.names()
        with gr.Row():
            model = self.add(
                "model",
                gr.Dropdown(names, value=next(iter(names), None), label="Model", min_width=140),
            )
            step = self.add(
                "step",
                gr.Dropdown(
                    self._steps(next(iter(names), None)),
                    value=NEWEST,
                    label="Checkpoint",
                    min_width=100,
                ),
            )
        model.change(lambda name: self._step_choices(name), model, step, **QUICK)

    @property
    def prompt(self) -> gr.Textbox:
        field = self.fields["prompt"]
        assert isinstance(field, gr.Textbox)
        return field

    def prompts(self, autofocus: bool = False) -> None:
        """What to draw."""
        longest = self.engine.limits.prompt_length
        self.add(
            "prompt",
            gr.Textbox(
                label="Prompt",
                placeholder="a red apple",
                max_length=longest,
                lines=1,
                max_lines=1,
                autofocus=autofocus,
            ),
        )

    def negative(self) -> None:
        """What to stay away from."""
        self.add(
            "negative_prompt",
            gr.Textbox(
                label="Negative prompt",
                info="what guidance pushes away from; may stay empty",
                max_length=self.engine.limits.prompt_length,
                lines=1,
                max_lines=1,
            ),
        )

    def amount(self, value: int = 4) -> None:
        """How many pictures, and of which seed."""
        most = self.engine.limits.images
        self.add(
            "num_images",
            gr.Slider(1, most, value=min(value, most), step=1, label="Pictures", min_width=120),
        )

    def seed(self, lockable: bool = True) -> None:
        """The seed, whether it stays, and a die. lockable: whether that is asked."""
        with gr.Row(elem_classes="seed"):
            seed = self.add("seed", gr.Number(0, label="Seed", precision=0, min_width=110))
            dice = gr.Button("⚄ New seed", size="sm", min_width=90)
        self.add(
            "keep_seed",
            gr.Checkbox(False, label="Keep this seed", container=False, visible=lockable),
        )
        dice.click(fresh_seed, None, seed, **QUICK)

    def sampling(self) -> None:
        """Sampler, steps, guidance."""
        defaults, limits = DrawRequest.model_fields, self.engine.limits
        self.add(
            "sampler",
            gr.Dropdown(
                ["ddim", "ddpm", "dpmpp", "dpmpp_sde", "unipc"],
                value=defaults["sampler"].default,
                label="Sampler",
            ),
        )
        steps = min(defaults["num_steps"].default, limits.steps)
        self.add("num_steps", gr.Slider(1, limits.steps, value=steps, step=1, label="Steps"))
        self.add(
            "guidance_scale",
            gr.Slider(
                0,
                20,
                value=defaults["guidance_scale"].default,
                step=0.1,
                label="Guidance",
                info="towards the prompt; 1 is off",
            ),
        )

    def clip(self) -> None:
        """Guidance by a CLIP's gradient, and choice among candidates."""
        clips = [OWN_CLIP, *self.engine.clips.names()]
        with gr.Row():
            self.add(
                "clip_guidance_scale",
                gr.Number(
                    0.0,
                    label="CLIP guidance",
                    info="0 is off, 1 is Bayes' rule",
                    minimum=0,
                    step=0.5,
                    min_width=120,
                ),
            )
            self.add(
                "clip_guide",
                gr.Dropdown(clips, value=OWN_CLIP, label="CLIP that guides", min_width=140),
            )
        with gr.Row():
            self.add(
                "best_of",
                gr.Slider(
                    1,
                    self.engine.limits.candidates,
                    value=1,
                    step=1,
                    label="Best of",
                    info="candidates for each picture",
                    min_width=120,
                ),
            )
            self.add(
                "judge",
                gr.Dropdown(clips, value=OWN_CLIP, label="CLIP that chooses", min_width=140),
            )

    def others(self) -> None:
        """Whatever has no field."""
        self.add(
            "others",
            gr.Textbox(
                label="Other settings",
                info="one per line, as the flags of textdiff sample are called",
                placeholder="eta: 0.5\nspacing: leading",
                lines=2,
                max_lines=6,
                max_length=WORDS,
            ),
        )

    # Back and forth.

    def request(self, values: Values, pictures: Values) -> DrawRequest:
        """What the fields ask for. pictures: ids by `init_image`, `mask`, and `strength`.

        Raises:
            UsageError: values that cannot be, or that do not go together.
        """
        wanted = {name: value for name, value in values.items() if name not in NO_SETTING}
        for name in ("seed", "num_steps", "num_images", "best_of"):
            if wanted.get(name) is None:
                raise UsageError(f"{name} is empty; type a whole number")
        for name in ("clip_guide", "judge"):
            wanted[name] = None if wanted[name] == OWN_CLIP else wanted[name]
        if wanted["best_of"] == 1:
            wanted["judge"] = None
        step = wanted.get("step")
        wanted["step"] = None if step in (NEWEST, None) else step
        if wanted.get("model") is None:
            raise UsageError("this server has no model that draws; start it with --model")
        wanted["prompt"] = [wanted["prompt"] or ""]
        others = read_others(values.get("others") or "")
        for name in others.keys() & wanted.keys():
            raise UsageError(f"other settings: {name} has a field of its own; set it there")
        given = {name: value for name, value in pictures.items() if value is not None}
        return DrawRequest.of({**wanted, **others, **given})

    def updates(self, request: DrawRequest) -> list[Any]:
        """New values of `components`: those of the request, its seed kept."""
        flat = flat_settings(request)
        flat |= {"model": request.model, "num_images": request.num_images}
        flat["prompt"] = request.prompt[0]
        flat["step"] = NEWEST if request.step is None else request.step
        for name in ("clip_guide", "judge"):
            flat[name] = flat[name] or OWN_CLIP
        flat["keep_seed"] = True
        flat["others"] = written_others(request, set(self.fields))
        return [flat[name] for name in self.fields]

    def _steps(self, name: str | None) -> list[str | int]:
        steps = self.engine.models.steps(name) if name in self.engine.models.names() else []
        return [NEWEST, *steps]

    def _step_choices(self, name: str) -> Any:
        return gr.update(choices=self._steps(name), value=NEWEST)


NO_SETTING = frozenset({"keep_seed", "others"})
OF_PICTURES = frozenset({"init_image", "mask", "clip_image", "strength"})
# Events of the page alone: at once, without a mark of progress, and no route of an API.
QUICK: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}


def read_others(text: str) -> dict[str, Any]:
    """`key: value` lines.

    Raises:
        UsageError: lines of another form.
    """
    try:
        known = parse_yaml(text)
    except ValueError as error:
        raise UsageError(f"other settings: {error!s:.200}") from None
    if known is None:
        return {}
    if not isinstance(known, dict) or not all(isinstance(name, str) for name in known):
        raise UsageError("other settings: type lines such as 'eta: 0.5'")
    for name in known.keys() & OF_PICTURES:
        raise UsageError(f"other settings: {name} goes with a picture; choose one below")
    return known


def written_others(request: DrawRequest, fields: set[str]) -> str:
    """The settings without a field that are not at their default, as lines."""
    default = flat_settings(DrawRequest(model=request.model, prompt=[""]))
    mine = flat_settings(request)
    kept = {
        name: value
        for name, value in mine.items()
        if value != default[name] and name not in fields and name not in OF_PICTURES
    }
    if request.first:
        kept["first"] = request.first
    return yaml.safe_dump(kept, sort_keys=False, allow_unicode=True).strip() if kept else ""
