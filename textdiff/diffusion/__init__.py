"""The diffusion process: schedules, predictions, objectives. Knows neither text nor networks."""

from textdiff._lazy import lazy_exports

__getattr__, __all__ = lazy_exports(
    __name__,
    {
        "NoiseSchedule": "schedule",
        "Objective": "objective",
        "ObjectiveConfig": "config",
        "ScheduleConfig": "config",
        "from_eps": "prediction",
        "from_output": "prediction",
        "from_v": "prediction",
        "simple_loss": "objective",
    },
)
