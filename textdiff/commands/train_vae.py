"""Train a VAE on pictures. Launch it with accelerate.

From its first checkpoint on, the run folder holds vae/, which diffusers' `AutoencoderKL` loads too:
the averaged weights, and latents.json with the statistics that diffusion in latents needs.
"""

from __future__ import annotations

from textdiff.training.continuable import continuable
from textdiff.training.settings.vae import TrainVaeSettings


@continuable
def run(settings: TrainVaeSettings) -> None:
    """Load data, build or load the network, train, save vae/; or check that training works.

    Raises:
        UsageError, DataError, CheckpointError: before anything is written.
        NonFiniteLossError: of the VAE or of its discriminator.
        NotLearningError: of the check.
    """
    from textdiff.files import check_folder
    from textdiff.training.carry_out import carry_out
    from textdiff.training.launch import start_all_processes
    from textdiff.training.specs.vae import vae_spec

    check_folder("--run-dir", settings.run_dir)
    start_all_processes()
    carry_out(vae_spec(settings), settings)
