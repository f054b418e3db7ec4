from .config import ClipConfig as ClipConfig
from .config import NoisedClipConfig as NoisedClipConfig
from .contrastive.loss import contrastive_loss as contrastive_loss
from .contrastive.loss import sigmoid_loss as sigmoid_loss
from .model import ClipModel as ClipModel
from .model import TextFeatures as TextFeatures
from .noised import NoisedClip as NoisedClip
from .tokens import Tokens as Tokens
