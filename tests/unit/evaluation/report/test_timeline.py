"""Pictures over time, from what a training writes."""

from __future__ import annotations

from PIL import Image

from textdiff.evaluation.report.document import Missing, Timeline
from textdiff.evaluation.report.timeline import COLUMNS, timeline
from textdiff.training.timeline import add_to_timeline

PROMPTS = ["a red apple", "a blue pig"]


def test_a_row_per_prompt_and_a_column_per_step(tmp_path):
    for step in range(0, 400, 20):
        images = [Image.new("RGB", (16, 16), (step % 256, row, 9)) for row in range(2)]
        add_to_timeline(tmp_path / "samples", step, images, PROMPTS)
    (block,) = timeline(tmp_path).section.blocks
    assert isinstance(block, Timeline)
    assert (block.steps[0], block.steps[-1], len(block.steps)) == (0, 380, COLUMNS)
    assert [prompt for prompt, _ in block.rows] == PROMPTS
    assert {len(pictures) for _, pictures in block.rows} == {COLUMNS}
    assert block.rows[1][1][0].alt == "a blue pig, drawn at step 0"
    sources = [picture.source for _, pictures in block.rows for picture in pictures]
    assert len(set(sources)) == 2 * COLUMNS


def test_steps_of_other_prompts_are_left_out(tmp_path):
    image = Image.new("RGB", (16, 16))
    add_to_timeline(tmp_path / "samples", 0, [image] * 2, PROMPTS[::-1])
    add_to_timeline(tmp_path / "samples", 5, [image] * 2, PROMPTS)
    (block,) = timeline(tmp_path).section.blocks
    assert block.steps == [5]


def test_a_run_without_previews_says_which_flag_makes_them(tmp_path):
    (block,) = timeline(tmp_path).section.blocks
    assert isinstance(block, Missing)
    assert "--preview.num-prompts" in block.remedy
