from .pipeline import TextToImage as TextToImage

__version__: str
