"""`textdiff ckpt list`: the checkpoints that a run keeps, the newest first."""

from __future__ import annotations

from textdiff.training.settings.kept import CkptListSettings


def run(settings: CkptListSettings) -> None:
    """Raises CheckpointError: there are none."""
    from textdiff.evaluation.results import write_numbers
    from textdiff.evaluation.tables import print_table
    from textdiff.files import check_file
    from textdiff.training.kept import kept_checkpoints
    from textdiff.training.meter import shown_time

    check_file("--json", settings.json)
    kept = kept_checkpoints(settings.run)
    rows = [
        [
            f"{each.step:,}",
            f"{each.size / 2**20:,.1f}",
            "" if each.seconds is None else shown_time(each.seconds),
            "" if each.loss is None else f"{each.loss:.4g}",
            each.trouble or ("its loss had risen" if each.rose else ""),
        ]
        for each in kept
    ]
    print_table(settings.run, ["step", "MiB", "trained for", "loss", "remark"], rows)
    write_numbers(settings.json, {"checkpoints": kept})
