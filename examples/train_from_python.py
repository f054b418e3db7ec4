"""Train a small U-Net on a folder of captioned pictures, and draw some of its captions.

    python examples/train_from_python.py path/to/images runs/clip runs/small --steps 2000

runs/clip is a CLIP of `textdiff train-clip`. Run again, it continues from the last checkpoint.
"""

import argparse
from pathlib import Path

from textdiff import TextToImage
from textdiff.config import build
from textdiff.training import TrainSettings, run_training, text_to_image_spec

parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
parser.add_argument("images", type=Path)
parser.add_argument("clip", type=Path)
parser.add_argument("run_dir", type=Path)
parser.add_argument("--steps", type=int, default=2000)
options = parser.parse_args()

values = {
    "run_dir": str(options.run_dir),
    "clip": str(options.clip),
    "prediction": "v",
    "data": {"source": str(options.images), "image_size": 16, "min_side": 16},
    "unet": {"block_channels": [32, 64], "attention": [False, True], "layers_per_block": 1},
    "train": {"steps": options.steps, "batch_size": 8, "lr": 1e-3, "warmup_steps": 20},
}
spec = text_to_image_spec(build(TrainSettings, [("this example", values)]))
run_training(spec, run_dir=options.run_dir, resume="auto")

prompts = [captions[0] for captions in spec.data.captions[:4]]
pictures = TextToImage.load(options.run_dir)(prompts, num_steps=25, guidance_scale=2.0, seed=0)
for prompt, picture in zip(prompts, pictures, strict=True):
    picture.save(options.run_dir / f"{prompt.replace(' ', '-')}.png")
