from .config import PriorConfig as PriorConfig
from .config import PriorSampling as PriorSampling
from .prior import Prior as Prior
