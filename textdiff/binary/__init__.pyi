from .config import BinaryConfig as BinaryConfig
from .process import BinaryDiffusion as BinaryDiffusion
from .sampling import sample_binary as sample_binary
from .schedule import BinarySchedule as BinarySchedule
