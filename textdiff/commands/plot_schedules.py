"""`textdiff plot schedules`: how fast noise takes over, as curves and on a picture."""

from __future__ import annotations

from textdiff.evaluation.schedules.settings import PlotSchedulesSettings


def run(settings: PlotSchedulesSettings) -> None:
    """Draws, writes one PNG, prints a table.

    Raises:
        DataError: no such picture. UsageError: matplotlib is missing, or `out` is no place.
    """
    from textdiff.errors import require_extra
    from textdiff.evaluation.schedules.compare import (
        compared_schedules,
        load_picture,
        print_schedules,
    )
    from textdiff.evaluation.schedules.plot import draw_schedules
    from textdiff.files import check_file

    check_file("--out", settings.out)
    schedules = compared_schedules(
        settings.names,
        settings.num_timesteps,
        settings.betas,
        zero_terminal_snr=settings.zero_terminal_snr,
    )
    require_extra("plot", "the plot of schedules")
    picture = load_picture(settings.data, settings.index, settings.picture)
    draw_schedules(settings.out, schedules, picture, settings.strip_steps)
    print_schedules(schedules)
    print(f"plot: {settings.out}")
