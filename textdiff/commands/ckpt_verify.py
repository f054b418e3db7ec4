"""`textdiff ckpt verify`: whether the files of a run or a model are as they were written."""

from __future__ import annotations

from textdiff.training.settings.kept import CkptVerifySettings


def run(settings: CkptVerifySettings) -> None:
    """Hash all, say what was found; with `adopt` accept before what no manifest vouches for.

    Raises:
        CheckpointError: something is not as it was written, or nothing there can be verified.
    """
    from textdiff.errors import CheckpointError
    from textdiff.evaluation.results import write_numbers
    from textdiff.evaluation.tables import print_table
    from textdiff.files import check_file
    from textdiff.training.adopted import adopt
    from textdiff.training.kept import verified_folders

    check_file("--json", settings.json)
    for folder in adopt(settings.run) if settings.adopt else []:
        print(f"{folder}: its files are taken to be right as they are")
    verified = verified_folders(settings.run)
    rows = [
        [each.folder, str(each.files), f"{each.size / 2**20:,.1f}", each.trouble or "as written"]
        for each in verified
    ]
    print_table("verified", ["folder", "files", "MiB", ""], rows)
    write_numbers(settings.json, {"folders": verified})
    wrong = [each.trouble for each in verified if each.trouble]
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise CheckpointError(f"{wrong[0]}{more}")
