"""What a sweep's settings refuse, and that its settings are those of sampling."""

from __future__ import annotations

import pytest

from textdiff.config import parse_flags
from textdiff.errors import UsageError
from textdiff.evaluation.guidance.settings import GuidanceSettings

REQUIRED = ["--model", "m", "--evaluators", "a", "b"]
EARLY = ["--best-of", "4", "2", "--early-judges", "c"]


def parsed(*flags: str) -> GuidanceSettings:
    return parse_flags(GuidanceSettings, list(flags), "guidance", "")


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--scales", "-1"], "--scales: Input should be greater than or equal to 0"),
        (["--clip-scales", "1", "-2"], "--clip-scales: Input should be greater than or equal to 0"),
        (["--num-prompts", "1"], "--num-prompts: Input should be greater than or equal to 2"),
        (["--guidance-scale", "2"], "guidance_scale is what is swept; give scales"),
        (["--clip-guidance-scale", "2"], "clip_guidance_scale is what is swept; give clip_scales"),
        (["--text-to-unet", "false"], "nothing to guide; give scales 1"),
        (["--clip-prompts", "a cat"], "clip_prompts guides all pictures to the same text"),
        (["--best-of", "4"], "best_of without a CLIP that chooses; give final_judges, early_jud"),
        (["--final-judges", "c"], "judges of candidates without candidates; give best_of 2 or m"),
        (["--best-of", "4", "--early-judges", "c"], "early_judges choose at keep_after; give both"),
        (["--best-of", "1"], "--best-of: Input should be greater than or equal to 2"),
        ([*EARLY, "--keep-after", "1"], "keep_after 1 is no share of the steps"),
        ([*EARLY, "--keep-after", "0.2", "0.4"], "after 1 one of best_of 2 is left"),
        (["--selection.best-of", "4"], "selection is what is swept; give best_of, and final_judg"),
    ],
)
def test_bad_settings(flags, complaint):
    with pytest.raises(UsageError) as refused:
        parsed(*REQUIRED, *flags)
    assert complaint in str(refused.value)


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--scales", "2"], "scales"),
        (["--num-steps", "9", "--split", "val"], "num_steps, split"),
        (["--data", "x", "--model", "y", "--evaluators", "z"], "data, judges, model"),
    ],
)
def test_tables_take_no_other_setting(flags, named):
    with pytest.raises(UsageError) as refused:
        parsed("--table", "x.json", "--plot", "x.png", *flags)
    assert str(refused.value).endswith(f"table draws nothing, so leave out {named}")


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--model", "x"], "judges names 0 CLIPs; give two or more"),
        (["--model", "x", "--evaluators", "y"], "judges names 1 CLIP; give two or more"),
        (["--evaluators", "x", "y"], "give model, a run folder"),
    ],
)
def test_what_is_missing(flags, complaint):
    with pytest.raises(UsageError) as refused:
        parsed(*flags)
    assert complaint in str(refused.value)


def test_u_net_without_text_goes_with_one_scale():
    settings = parsed(*REQUIRED, "--text-to-unet", "false", "--scales", "1")
    assert (settings.text_to_unet, settings.scales) == (False, [1.0])
