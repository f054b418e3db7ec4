from .codec import LatentCodec as LatentCodec
from .config import VaeConfig as VaeConfig
from .model import Vae as Vae
from .posterior import Posterior as Posterior
from .statistics import LatentStatistics as LatentStatistics
