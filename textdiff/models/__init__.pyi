from .config import UNetConfig as UNetConfig
from .unet import UNet as UNet
