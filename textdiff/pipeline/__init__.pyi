from .config import ModelConfig as ModelConfig
from .config import SamplingConfig as SamplingConfig
from .loading import CLIP_FOLDER as CLIP_FOLDER
from .loading import MODEL_FILE as MODEL_FILE
from .plan import DrawPlan as DrawPlan
from .plan import DrawStep as DrawStep
from .sections import ClipGuidanceConfig as ClipGuidanceConfig
from .text_to_image import TextToImage as TextToImage
