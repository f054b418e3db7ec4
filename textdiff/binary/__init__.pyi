from .config import BinaryConfig as BinaryConfig
from .sampling import BinaryAncestral as BinaryAncestral
from .schedule import BinarySchedule as BinarySchedule
