"""The binary task: what the network is shown, what is minimised, what is held out."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from tests.helpers.batches import CAPTIONS, batch_of
from textdiff.binary.config import BinaryConfig
from textdiff.binary.likelihood import prior_term
from textdiff.binary.schedule import BinarySchedule
from textdiff.data import DataConfig, open_data
from textdiff.pictures import BitCodec
from textdiff.training.tasks.binary import BinaryTask
from textdiff.types import Conditioning


def embed(captions) -> Conditioning:
    """As many rows as captions; the first feature tells the empty one."""
    return Conditioning(torch.tensor([[[float(caption == "")]] for caption in captions]))


class FakeUNet(torch.nn.Module):
    """Notes what it is shown and says the same of every pixel."""

    def __init__(self, output: float = 0.0):
        super().__init__()
        self.output = torch.nn.Parameter(torch.tensor(output))
        self.seen: list[tuple] = []

    def forward(self, x_t, timestep, conditioning):
        self.seen.append((x_t, timestep, conditioning))
        return self.output.expand_as(x_t)


def task_of(config: BinaryConfig | None = None, unet: FakeUNet | None = None, **arguments):
    config = config or BinaryConfig(num_timesteps=100)
    pipe = SimpleNamespace(
        unet=unet or FakeUNet(),
        schedule=BinarySchedule.from_config(config),
        config=SimpleNamespace(binary=config),
        codec=BitCodec(16, config.threshold),
        device=torch.device("cpu"),
    )
    return BinaryTask(pipe=pipe, embed=embed, **{"seed": 0, "caption_drop": 0.0, **arguments})


def greys(count: int, level: int = 255) -> torch.Tensor:
    return torch.full((count, 3, 16, 16), level, dtype=torch.uint8)


def test_the_network_sees_one_channel_of_flipped_pixels():
    task = task_of()
    losses = task.losses(task.model, batch_of(greys(8)), step=0)
    ((x_t, timestep, _),) = task.model.seen
    assert x_t.shape == (8, 1, 16, 16)
    assert set(x_t.unique().tolist()) == {-1.0, 1.0}
    flipped = (x_t < 0).double().flatten(1).mean(1)
    expected = task.schedule.flip_probability[timestep]
    torch.testing.assert_close(flipped, expected, rtol=0, atol=0.15)
    assert losses["loss"].shape == (8,)


def test_draws_of_a_sample_do_not_depend_on_its_batch():
    task = task_of()
    whole = task.losses(task.model, batch_of(greys(4)), step=3)["loss"]
    half = task.losses(task.model, batch_of(greys(2)), step=3)["loss"]
    later = task.losses(task.model, batch_of(greys(2)), step=4)["loss"]
    assert torch.equal(whole[:2], half)
    assert not torch.equal(half, later)


@pytest.mark.parametrize(("caption_drop", "empty"), [(0.0, 0.0), (1.0, 1.0)])
def test_dropped_captions_become_the_empty_one(caption_drop, empty):
    task = task_of(caption_drop=caption_drop)
    task.losses(task.model, batch_of(greys(2)), step=0)
    (_, _, conditioning) = task.model.seen[0]
    assert conditioning.tokens.flatten().tolist() == [empty, empty]


@pytest.mark.parametrize(("level", "sign"), [(100, -1.0), (200, 1.0)])
def test_pictures_are_cut_at_the_threshold(level, sign):
    """At the least noisy of many timesteps nearly nothing is flipped."""
    task = task_of(BinaryConfig(num_timesteps=100_000, threshold=0.6))
    task.schedule = task.pipe.schedule = task.schedule.respaced(torch.tensor([0]))
    task.losses(task.model, batch_of(greys(2, level)), step=0)
    assert (task.model.seen[0][0] == sign).all()


@pytest.mark.parametrize("predicts", ["x_0", "posterior"])
def test_the_mean_loss_of_a_network_that_knows_nothing_is_one_bit(predicts):
    """Output 0 undoes the flips of pictures that are fair coins themselves. The mean of the loss
    over timesteps is the whole bound, since the schedule ends in fair coins."""
    task = task_of(BinaryConfig(num_timesteps=50, predicts=predicts))
    losses = [task.losses(task.model, batch_of(greys(64)), step)["loss"] for step in range(20)]
    assert torch.cat(losses).mean().item() == pytest.approx(1, abs=0.05)


def test_training_the_loss_finds_the_share_of_white():
    """The one number of a network that says the same of every pixel."""
    task = task_of(BinaryConfig(num_timesteps=50))
    image = greys(8)
    image[:, :, :4] = 0  # a quarter is black
    optimizer = torch.optim.Adam(task.model.parameters(), lr=0.1)
    for step in range(60):
        optimizer.zero_grad()
        task.losses(task.model, batch_of(image), step)["loss"].mean().backward()
        optimizer.step()
    assert task.model.output.sigmoid().item() == pytest.approx(0.75, abs=0.05)


@pytest.fixture
def held_out(shapes):
    return open_data(DataConfig(source=str(shapes), image_size=16, min_side=4), "val")


def test_held_out_quarters_go_from_the_least_noisy_to_the_noisiest(held_out):
    task = task_of(held_out=held_out)
    first, again = task.held_out_numbers(), task.held_out_numbers()
    assert first == again
    for quarter, (_, timestep, _) in enumerate(task.model.seen[:4]):
        assert len(timestep) == 4
        assert timestep.min() >= 25 * quarter
        assert timestep.max() < 25 * (quarter + 1)


def test_the_held_out_bound_is_the_sum_of_its_parts(held_out):
    task = task_of(BinaryConfig(num_timesteps=6, schedule="constant", delta=0.1), held_out=held_out)
    values = task.held_out_numbers()
    quarters = sum(values[f"held_out/bits_per_dim_q{quarter}"] for quarter in (1, 2, 3, 4))
    expected = quarters + prior_term(task.schedule)
    assert values["held_out/bits_per_dim"] == pytest.approx(expected)
    assert prior_term(task.schedule) > 0


def test_a_network_that_says_the_same_of_every_pixel_is_farther_than_single_pixels(held_out):
    values = task_of(held_out=held_out, seen=held_out).held_out_numbers()
    for quarter in (1, 2, 3, 4):
        single = values[f"held_out/x_0_mse_single_pixels_q{quarter}"]
        assert 0 <= single < values[f"held_out/x_0_mse_q{quarter}"]
        assert single <= 1.05 * values["held_out/x_0_mse_mean_picture"]


def test_a_network_that_ignores_its_text_is_told_so(held_out):
    values = task_of(held_out=held_out, seen=held_out).examine()
    assert values["text/prompts"] == 4
    assert values["text/prompts_that_matter"] == values["text/change"] == 0


def test_a_network_that_predicts_the_posterior_says_nothing_of_x_0(held_out):
    config = BinaryConfig(num_timesteps=20, predicts="posterior")
    task = task_of(config, held_out=held_out, seen=held_out)
    assert not any("x_0_mse" in name for name in task.held_out_numbers())
    assert task.examine() == {}


def test_a_white_picture_is_nearly_free_for_a_network_that_expects_white(shapes):
    task = task_of(unet=FakeUNet(12.0), held_out=None)
    losses = task.losses(task.model, batch_of(greys(16)), step=0)["loss"]
    assert losses.max().item() < 0.01


def test_the_sample_grid_is_drawn_where_runs_keep_theirs(tmp_path):
    task = task_of(prompts=CAPTIONS)
    task.pipe.plan = lambda prompts, config, image: prompts
    task.pipe.draw = lambda prompts: greys(len(prompts))
    assert task.evaluate(7, SimpleNamespace(path=tmp_path)) == {}
    names = sorted(path.name for path in tmp_path.glob("samples/*"))
    assert names == ["step-000007.png", "timeline", "timeline.png"]
