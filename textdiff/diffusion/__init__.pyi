from .config import ObjectiveConfig as ObjectiveConfig
from .config import ScheduleConfig as ScheduleConfig
from .objective import Objective as Objective
from .objective import simple_loss as simple_loss
from .prediction import from_eps as from_eps
from .prediction import from_output as from_output
from .prediction import from_v as from_v
from .schedule import NoiseSchedule as NoiseSchedule
