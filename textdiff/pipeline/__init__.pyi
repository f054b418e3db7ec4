from .config import ModelConfig as ModelConfig
from .config import SamplingConfig as SamplingConfig
from .text_to_image import CLIP_FOLDER as CLIP_FOLDER
from .text_to_image import MODEL_FILE as MODEL_FILE
from .text_to_image import TextToImage as TextToImage
