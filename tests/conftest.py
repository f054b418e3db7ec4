"""Fixtures that several tests share: a small captioned image folder, tiny models trained on it."""

from __future__ import annotations

import copy
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import torch

from tests.helpers import shapes_checked

shapes_checked.install()  # before anything of textdiff is imported

from tests.helpers import command  # noqa: E402
from tests.helpers.browser import NO_BROWSER  # noqa: E402
from tests.helpers.prepared import decoder_flags  # noqa: E402
from tests.helpers.shapes import write_shapes  # noqa: E402
from tests.helpers.vaes import vae_folder  # noqa: E402
from tests.helpers.workers import prepared_once  # noqa: E402

os.environ.setdefault("HF_HUB_OFFLINE", "1")
# said outright: tests expect the same bits from two processes, and "there is cpu"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["ACCELERATE_USE_CPU"] = "true"
os.environ["OMP_NUM_THREADS"] = "1"  # of processes that tests start; this one: see _one_thread

# how long an example takes depends on the machine, and on what else it does
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")


# what several tests share of trained models
TRAINED = {
    *("tiny_clip", "other_clip", "noised_flags", "noised_with_clean", "tiny_embeddings"),
    *("tiny_run", "run_copy", "pipe", "tiny_decoder", "tiny_priors", "tiny_prior"),
    *("tiny_vae_run", "latent_flags", "tiny_latent_model", "latent_noised_flags", "latent_noised"),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of trained models are slow: `make test-fast` waits for no training."""
    for item in items:
        if TRAINED & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


def pytest_terminal_summary(terminalreporter) -> None:
    """Tests of the page that had no browser are not passed over in silence."""
    skipped = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]
    without = sum(NO_BROWSER in reason for reason in skipped)
    if without:
        said = f"{without} tests of the page did NOT run: {NO_BROWSER}; 'make browser' installs one"
        terminalreporter.write_sep("!", said, red=True, bold=True)


@pytest.fixture
def shapes_not_checked() -> Iterator[None]:
    """For tests of how a function itself refuses what is wrong."""
    with shapes_checked.not_checked():
        yield


@pytest.fixture(scope="session")
def shapes(tmp_path_factory) -> Path:
    return prepared_once(tmp_path_factory, "shapes", write_shapes)


@pytest.fixture(scope="session")
def configs(tmp_path_factory) -> Path:
    """A folder with clip.yaml, noised_clip.yaml, unet.yaml, prior.yaml and vae.yaml: small enough
    to train in seconds."""

    def write(folder: Path) -> None:
        folder.mkdir()
        (folder / "clip.yaml").write_text(command.TINY_CLIP)
        (folder / "noised_clip.yaml").write_text(command.TINY_NOISED_CLIP)
        (folder / "unet.yaml").write_text(command.TINY_UNET)
        (folder / "prior.yaml").write_text(command.TINY_PRIOR)
        (folder / "vae.yaml").write_text(command.TINY_VAE)

    return prepared_once(tmp_path_factory, "configs", write)


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory, shapes, configs) -> Path:
    """A run folder of `textdiff train-clip`."""
    from textdiff.commands.cli import run

    flags = ["--config", str(configs / "clip.yaml"), "--data.source", str(shapes)]
    return prepared_once(
        tmp_path_factory,
        "clip",
        lambda folder: run(["train-clip", *flags, "--run-dir", str(folder)]),
    )


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory, shapes, configs, tiny_clip) -> Path:
    """A run folder of `textdiff train`."""
    from textdiff.commands.cli import run

    flags = ["--config", str(configs / "unet.yaml"), "--data.source", str(shapes)]
    flags += ["--clip", str(tiny_clip)]
    return prepared_once(
        tmp_path_factory, "unet", lambda folder: run(["train", *flags, "--run-dir", str(folder)])
    )


@pytest.fixture(scope="session")
def tiny_decoder(tmp_path_factory, shapes, configs, tiny_clip, tiny_embeddings) -> Path:
    """A run folder of `textdiff train` with embeddings."""
    from textdiff.commands.cli import run

    flags = decoder_flags(configs, shapes, tiny_clip, tiny_embeddings)
    return prepared_once(
        tmp_path_factory, "decoder", lambda folder: run(["train", *flags, "--run-dir", str(folder)])
    )


@pytest.fixture(scope="session")
def tiny_vae(tmp_path_factory) -> Path:
    """A folder with a VAE of factor 4, of random weights, and statistics."""
    return prepared_once(tmp_path_factory, "vae", vae_folder)


@pytest.fixture(scope="session")
def latent_flags(shapes, configs, tiny_clip, tiny_vae) -> list[str]:
    """Of `textdiff train` of a U-Net of latents: all but --run-dir."""
    flags = ["--config", configs / "unet.yaml", "--data.source", shapes, "--clip", tiny_clip]
    flags += ["--codec", tiny_vae, "--data.cache", "off"]
    return list(map(str, flags))


@pytest.fixture(scope="session")
def tiny_latent_model(tmp_path_factory, latent_flags) -> Path:
    """A run folder of `textdiff train` with a VAE."""
    from textdiff.commands.cli import run

    return prepared_once(
        tmp_path_factory,
        "latent unet",
        lambda folder: run(["train", *latent_flags, "--run-dir", str(folder)]),
    )


@pytest.fixture(scope="session")
def latent_noised_flags(shapes, configs, tiny_clip, tiny_latent_model) -> list[str]:
    """Of `textdiff finetune-clip` for `tiny_latent_model`: all but --run-dir."""
    flags = ["--config", configs / "noised_clip.yaml", "--data.source", shapes]
    flags += ["--init", tiny_clip, "--noise.schedule-from", tiny_latent_model]
    return [*map(str, flags), "--train.steps", "4", "--data.cache", "off"]


@pytest.fixture(scope="session")
def latent_noised(tmp_path_factory, latent_noised_flags) -> Path:
    """A run folder of `textdiff finetune-clip` on latents."""
    from textdiff.commands.cli import run

    return prepared_once(
        tmp_path_factory,
        "latent noised",
        lambda folder: run(["finetune-clip", *latent_noised_flags, "--run-dir", str(folder)]),
    )


@pytest.fixture(scope="session")
def noised_flags(shapes, configs, tiny_clip, tiny_run) -> list[str]:
    """Of `textdiff finetune-clip`: all but --run-dir."""
    flags = ["--config", configs / "noised_clip.yaml", "--data.source", shapes]
    flags += ["--init", tiny_clip, "--noise.schedule-from", tiny_run]
    return list(map(str, flags))


@pytest.fixture(scope="session")
def noised_with_clean(tmp_path_factory, noised_flags) -> Path:
    """A noised CLIP with a frozen copy of the clean tower, from which its own has moved away."""
    from textdiff.commands.cli import run

    few = ["--train.steps", "4", "--noise.clean-below", "20", "--train.lr", "1e-2"]
    return prepared_once(
        tmp_path_factory,
        "noised with clean",
        lambda folder: run(["finetune-clip", *noised_flags, *few, "--run-dir", str(folder)]),
    )


@pytest.fixture(scope="session")
def tiny_embeddings(tmp_path_factory, shapes, tiny_clip) -> Path:
    """What `textdiff embed` writes of the shapes."""
    from textdiff.commands.cli import run

    flags = ["embed", "--clip", str(tiny_clip), "--data", str(shapes), "--feature-cache", "off"]
    folder = prepared_once(
        tmp_path_factory,
        "embeddings",
        lambda folder: run([*flags, "--out", str(folder / "e.safetensors")]),
    )
    return folder / "e.safetensors"


@pytest.fixture(scope="session")
def tiny_priors(tmp_path_factory, configs, tiny_embeddings) -> Path:
    """A folder with a run folder of `textdiff train-prior` by each kind."""
    from textdiff.commands.cli import run

    usual = ["--config", str(configs / "prior.yaml"), "--embeddings", str(tiny_embeddings)]

    def train(folder: Path) -> None:
        for kind in ("diffusion", "autoregressive"):
            run(["train-prior", *usual, "--kind", kind, "--run-dir", str(folder / kind)])

    return prepared_once(tmp_path_factory, "priors", train)


@pytest.fixture(scope="session")
def tiny_prior(tiny_priors) -> Path:
    """A run folder of `textdiff train-prior`, the diffusion prior."""
    return tiny_priors / "diffusion"


@pytest.fixture(scope="session")
def tiny_vae_run(tmp_path_factory, shapes, configs) -> Path:
    """A run folder of `textdiff train-vae`, with a discriminator from the third step on."""
    from textdiff.commands.cli import run

    flags = ["--config", str(configs / "vae.yaml"), "--data.source", str(shapes)]
    flags += ["--discriminator.weight", "0.5", "--discriminator.start", "2"]
    return prepared_once(
        tmp_path_factory,
        "vae run",
        lambda folder: run(["train-vae", *flags, "--run-dir", str(folder)]),
    )


@pytest.fixture(scope="session")
def other_clip(tmp_path_factory, tiny_clip) -> Path:
    """`tiny_clip` with other weights."""
    from textdiff.clip import ClipModel

    def save(folder: Path) -> None:
        clip = ClipModel.load(tiny_clip)
        clip.model.logit_scale.data.add_(0.5)
        clip.save(folder)

    return prepared_once(tmp_path_factory, "other clip", save)


@pytest.fixture
def run_copy(tiny_run, tmp_path) -> Path:
    """A finished run to be spoilt."""
    return Path(shutil.copytree(tiny_run, tmp_path / "copy"))


@pytest.fixture(scope="session")
def _loaded(tiny_run):
    from textdiff import TextToImage

    return TextToImage.load(tiny_run)


@pytest.fixture
def pipe(_loaded):
    """A model of one's own; copying is quicker than loading."""
    return copy.deepcopy(_loaded)


@pytest.fixture(scope="session", autouse=True)
def _features_of_this_session(tmp_path_factory):
    """No test reads features that another session computed, perhaps with other code."""
    from textdiff.data.pixel_cache import cache_root
    from textdiff.evaluation.features import cache

    folder = tmp_path_factory.mktemp("features")

    def root(config):
        return cache_root(config) if "TEXTDIFF_CACHE" in os.environ else folder

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache, "cache_root", root)
        yield


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Bits depend on how a sum is split among threads; and small tests are quicker with one.

    For the whole session, so that it holds for `tiny_clip` and `tiny_run` too.
    """
    torch.set_num_threads(1)
