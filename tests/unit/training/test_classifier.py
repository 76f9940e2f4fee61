"""Training: from a seed to the same network, also when it is interrupted; what is refused."""

import shutil
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from model_lego import TrainingSettings, train
from model_lego.data.augmentation import cropped, flipped
from model_lego.data.sets import in_memory
from model_lego.errors import BadConfig, CannotWrite, EmptySelection, ShapeMismatch, TrainingFailed
from model_lego.parts.preprocessing import Preprocessing

FEW = {"epochs": 4, "batch_size": 16, "learning_rate": 0.1, "crop": 1, "ema": 0.5}


def network(*, classes=3, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = (nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(0.2), nn.Linear(24, classes))
        return nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), *head)


def colours(count=72):
    """Images that are red, green or blue, with noise: easy to learn."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 3
    pixels = torch.rand(count, 3, 8, 8, generator=generator) * 0.5
    pixels[torch.arange(count), labels] += 0.4
    return in_memory(pixels.clamp(max=1), labels)


def weights(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(one, two):
    return all(torch.equal(tensor, two[name]) for name, tensor in one.items())


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"schedule": "cosine", "momentum": 0.0, "smoothing": 0.1},
        {"ema": 0.9},
        {"channels_last": True, "amp": True},
        {"optimizer": "adamw", "learning_rate": 0.02},
    ],
    ids=str,
)
def test_it_learns_and_a_seed_gives_the_same_network(more):
    settings = TrainingSettings(**FEW | {"epochs": 8} | more)
    before = torch.get_rng_state()
    model = train(network(), colours(), settings)
    images = colours()
    x = torch.stack([images.image(number) for number in range(len(images))])
    with torch.no_grad():
        assert (model(x).argmax(1) == images.labels).float().mean() > 0.9
    assert not model.training
    assert same(weights(model), weights(train(network(), colours(), settings)))
    other = TrainingSettings(**FEW | {"epochs": 8, "seed": 1} | more)
    assert not same(weights(model), weights(train(network(), colours(), other)))
    assert torch.equal(torch.get_rng_state(), before)


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("schedule", ["one-cycle", "cosine"])
@pytest.mark.parametrize("at", [3, 6, 12, 20])  # of 20 steps, five an epoch
def test_stopped_anywhere_it_ends_in_the_same_network(tmp_path, at, schedule):
    settings = TrainingSettings(schedule=schedule, **FEW)
    expected = weights(train(network(), colours(), settings))

    def stop(what, done, total):
        assert (what, total) == ("training", 20)
        if done == at:
            raise StoppedError

    with pytest.raises(StoppedError):
        train(network(), colours(), settings, checkpoint=tmp_path / "state.pt", progress=stop)
    resumed = []
    model = train(
        network(seed=5), colours(), settings, checkpoint=tmp_path / "state.pt",
        progress=lambda _, done, __: resumed.append(done),
    )  # fmt: skip
    assert resumed[0] == (at - 1) // 5 * 5 + 1  # from the last whole epoch
    assert same(expected, weights(model)) == (at > 5)  # before that nothing was kept, and it starts from other weights
    assert [path.name for path in tmp_path.iterdir()] == ["state.pt"]


def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    path = tmp_path / "state.pt"
    train(network(), colours(), TrainingSettings(**FEW), checkpoint=path)
    kept = path.read_bytes()
    with pytest.raises(BadConfig, match="of another training: epochs, seed differ"):
        train(network(), colours(), TrainingSettings(**FEW | {"epochs": 5, "seed": 2}), checkpoint=path)
    with pytest.raises(BadConfig, match="images differ"):
        train(network(), colours(30), TrainingSettings(**FEW), checkpoint=path)
    with pytest.raises(BadConfig, match="no checkpoint of this training"):
        train(network(classes=4), colours(), TrainingSettings(**FEW), checkpoint=path)
    assert path.read_bytes() == kept
    path.write_bytes(b"no checkpoint")
    with pytest.raises(BadConfig, match="no checkpoint of this training"):
        train(network(), colours(), TrainingSettings(**FEW), checkpoint=path)


def test_a_checkpoint_from_before_optimizers_could_be_chosen_goes_on(tmp_path):
    path = tmp_path / "state.pt"
    trained = train(network(), colours(), TrainingSettings(**FEW), checkpoint=path)
    kept = torch.load(path, weights_only=True)
    del kept["settings"]["optimizer"]
    torch.save(kept, path)
    assert same(weights(trained), weights(train(network(seed=5), colours(), TrainingSettings(**FEW), checkpoint=path)))
    with pytest.raises(BadConfig, match="of another training: optimizer differ"):
        train(network(), colours(), TrainingSettings(**FEW | {"optimizer": "adamw"}), checkpoint=path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"epochs": 0}, "epochs 0 has to be more than 0"),
        ({"batch_size": -1}, "batch size -1 has to be"),
        ({"learning_rate": float("nan")}, "learning rate nan"),
        ({"learning_rate": float("inf")}, "learning rate inf"),
        ({"schedule": "linear"}, "'linear' is unknown; use 'one-cycle' or 'cosine'"),
        ({"optimizer": "lion"}, "'lion' is unknown; use 'sgd' or 'adamw'"),
        ({"ema": 1.0}, "ema 1.0 has to be at least 0 and less than 1"),
        ({"smoothing": -0.1}, "smoothing -0.1"),
        ({"crop": -1}, "cannot be negative"),
    ],
)
def test_settings_that_make_no_sense(change, words):
    with pytest.raises(BadConfig, match=words):
        TrainingSettings(**FEW | change)


def test_what_cannot_be_trained_is_refused_before_anything_happens():
    settings = TrainingSettings(**FEW)
    with pytest.raises(EmptySelection, match="no images"):
        train(network(), colours(0), settings)
    with pytest.raises(ShapeMismatch, match="labels go up to 2"):
        train(network(classes=2), colours(), settings)
    grey = in_memory(torch.rand(6, 1, 8, 8), torch.arange(6) % 3)
    model = network()
    before = weights(model)
    with pytest.raises(ShapeMismatch, match=r"does not take images of shape \(1, 8, 8\)"):
        train(model, grey, settings)
    assert same(before, weights(model))
    with pytest.raises(BadConfig, match="no parameter that can be trained"):
        train(network().requires_grad_(False), colours(), settings)


def test_a_loss_that_is_not_finite_ends_the_training():
    with pytest.raises(TrainingFailed, match="in epoch 1; use a lower learning rate"):
        train(network(), colours(), TrainingSettings(**FEW | {"learning_rate": 1e30}))


def test_images_are_normalised():
    seen = []
    model = network()
    model.register_forward_pre_hook(lambda _, args: seen.append(args[0].mean().item()))
    train(
        model,
        colours(),
        TrainingSettings(**FEW | {"epochs": 1, "crop": 0}),
        preprocessing=Preprocessing((2.0,) * 3, (0.1,) * 3),
    )
    assert all(-20 < mean < -10 for mean in seen)


@pytest.mark.parametrize("schedule", ["one-cycle", "cosine"])
@pytest.mark.parametrize("epochs", [1, 2, 3, 4, 5, 40])
def test_the_rate_rises_and_falls_to_zero(schedule, epochs):
    """A rate of 10^-3 moves a bias, whose gradient is one, by the sum of all rates."""

    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.bias, self.rates = nn.Parameter(torch.zeros(())), [0.0]

        def forward(self, x):
            self.rates.append(-self.bias.item())
            return torch.stack([torch.zeros(len(x)), self.bias.expand(len(x)) + 100], 1)  # loss: bias + 100

    model = Sum()
    x = in_memory(torch.zeros(2, 3, 2, 2), torch.tensor([0, 0]))
    settings = TrainingSettings(epochs=epochs, learning_rate=1e-3, momentum=0, schedule=schedule, crop=0)
    train(model, x, settings)
    moved = torch.tensor([*model.rates[2:], -model.bias.item()]).diff() * 1000
    assert len(moved) == epochs
    peak = max(1, epochs // 4) if schedule == "one-cycle" else 0
    if epochs > 1 or schedule == "cosine":
        assert moved.argmax() == peak
        assert abs(moved[peak] - 1) < 1e-2
    if epochs == 40:
        assert moved[-1] < 0.01
        assert (moved[0] < 0.05) == (schedule == "one-cycle")


def test_biases_and_norms_do_not_decay():
    model = network()
    for parameter in model.parameters():
        parameter.data.fill_(0.5)
    x = in_memory(torch.zeros(4, 3, 8, 8), torch.zeros(4, dtype=torch.int64))
    train(model, x, TrainingSettings(epochs=1, batch_size=4, learning_rate=1e-8, weight_decay=1e6, schedule="cosine"))
    assert model[0].weight.mean() < 0.4999
    assert torch.allclose(model[0].bias, torch.tensor(0.5), atol=1e-6)
    assert torch.allclose(model[1].weight, torch.tensor(0.5), atol=1e-6)


def test_crops_are_windows_of_the_padded_image():
    x = torch.rand(40, 2, 5, 6)
    found = cropped(x, 2, torch.Generator().manual_seed(0))
    padded = torch.nn.functional.pad(x, (2, 2, 2, 2))
    places = set()
    for image, whole in zip(found, padded, strict=True):
        fits = [(r, c) for r in range(5) for c in range(5) if torch.equal(whole[:, r : r + 5, c : c + 6], image)]
        assert len(fits) == 1
        places.update(fits)
    assert len(places) > 12


def test_half_of_the_images_are_mirrored():
    x = torch.rand(200, 1, 2, 3)
    found = flipped(x, torch.Generator().manual_seed(0))
    mirrored = [torch.equal(after, before.flip(2)) for before, after in zip(x, found, strict=True)]
    kept = [torch.equal(after, before) for before, after in zip(x, found, strict=True)]
    assert all(one != two for one, two in zip(mirrored, kept, strict=True))
    assert 70 < sum(mirrored) < 130


def test_every_epoch_has_an_order_and_crops_of_its_own():
    for crop in (0, 1):  # in an order of its own; and cropped otherwise, all images at once
        model, seen = network(), []
        model.register_forward_pre_hook(lambda _, args, seen=seen: seen.append(args[0].clone()))
        train(model, colours(), TrainingSettings(**FEW | {"crop": crop, "flip": False, "batch_size": 72}))
        first, second = seen[1:3]  # the very first image tries whether the network takes it
        assert not torch.equal(first, second)
        assert torch.equal(first.flatten(1).sum(1).sort().values, second.flatten(1).sum(1).sort().values) == (crop == 0)


@pytest.mark.parametrize("place", ["file/state.pt", "folder", "n" * 300, "full"])
def test_a_checkpoint_that_cannot_be_written_is_refused_before_the_first_epoch(tmp_path, monkeypatch, place):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    if place == "full":
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100))
    steps = []

    def noted(*step):
        steps.append(step)

    with pytest.raises(CannotWrite, match=r"is a file|is a folder|too long|the disk has 100 left"):
        train(
            network(),
            colours(),
            TrainingSettings(**FEW),
            checkpoint=tmp_path / place,
            progress=lambda *of: steps.append(of),
        )
    assert steps == []
