"""`textdiff ckpt info`: what is in one checkpoint of a run."""

from __future__ import annotations

from textdiff.training.settings.kept import CkptInfoSettings


def run(settings: CkptInfoSettings) -> None:
    """Raises CheckpointError: no such checkpoint, or a damaged one."""
    from textdiff.evaluation.results import to_json, write_numbers
    from textdiff.evaluation.tables import print_facts
    from textdiff.files import check_file
    from textdiff.training.fixed import flat
    from textdiff.training.kept import contents

    check_file("--json", settings.json)
    found = contents(settings.run, settings.step)
    files = [(name, f"{size:,} bytes, as written") for name, size in found.files.items()]
    values = [(name, str(value)) for name, value in flat(found.state).items()]
    print_facts(found.kept.folder, [*files, *values])
    write_numbers(settings.json, to_json(found))
