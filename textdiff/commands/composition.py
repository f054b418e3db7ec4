"""Composition: whether drawn pictures show the things, colours and relations of their prompts.

The facts of a picture are read by analysis through synthesis, no network takes part, and compared
with those of its prompt; for combinations that training has (val) and for those that it never has
(test). With `--judge`, prompt following by CLIPs that took no part stands beside it.
"""

from __future__ import annotations

from textdiff.evaluation.composition.settings import CompositionSettings


def run(settings: CompositionSettings) -> None:
    """Load, draw or open, read, show.

    Raises:
        DataError: data without facts, or pictures of no prompt that the data have.
        UsageError: a judge had a part: in training the model, in guiding or in choosing.
    """
    from textdiff.devices import pick_device
    from textdiff.evaluation.composition.run import compose
    from textdiff.evaluation.composition.sheet import save_overview, save_sheet
    from textdiff.evaluation.composition.table import print_composition
    from textdiff.evaluation.results import write_result
    from textdiff.files import check_file

    for flag in ("json", "grid", "overview"):
        check_file(f"--{flag}", getattr(settings, flag))
    composed = compose(settings, pick_device(settings.device))
    result = composed.measure()
    print_composition(result, composed.title)
    if settings.grid:
        save_sheet(settings.grid, composed.drawn, settings.grid_pictures)
    if settings.overview:
        save_overview(settings.overview, composed.drawn, composed.from_several_seeds(settings))
    write_result(settings.json, composed.protocol, result)
