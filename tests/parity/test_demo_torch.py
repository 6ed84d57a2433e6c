"""The demo generator against the same ``nn.Sequential`` in PyTorch."""

import itertools

import numpy as np
import pytest

import ganchroma as gch

torch = pytest.importorskip("torch")


class Examples(torch.nn.Module):
    """The generator of the PyTorch examples' DCGAN."""

    def __init__(self):
        super().__init__()
        layers, channels = [], [100, 512, 256, 128, 64]
        for i, (given, made) in enumerate(itertools.pairwise(channels)):
            stride, padding = (1, 0) if i == 0 else (2, 1)
            layers.append(torch.nn.ConvTranspose2d(given, made, 4, stride, padding, bias=False))
            layers += [torch.nn.BatchNorm2d(made), torch.nn.ReLU(True)]
        layers += [torch.nn.ConvTranspose2d(64, 3, 4, 2, 1, bias=False), torch.nn.Tanh()]
        self.main = torch.nn.Sequential(*layers)


@pytest.fixture
def pair():
    ours, theirs = gch.demo.Generator(rng=0), Examples()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    theirs.load_state_dict({key: torch.from_numpy(value) for key, value in ours.state_dict().items()})
    return ours, theirs


def test_train_and_eval(pair):
    """To 1e-5, as sums of up to 4096 float32 products allow; features reach six."""
    ours, theirs = pair
    z = ours.sample_latent(12, rng=1)
    for training in (True, True, False, True):
        theirs.train(training)
        with torch.no_grad():
            features = theirs.main[:12](torch.from_numpy(z)[:, :, None, None])
            images = theirs.main[12:](features).numpy()
        got = ours.features(z, training)
        assert np.abs(got - features.numpy()).max() < 1e-5
        assert np.abs(ours.head(got) - images).max() < 1e-5
        for key, value in theirs.state_dict().items():
            assert np.abs(ours.state_dict()[key] - value.numpy()).max() < 1e-6


def test_a_state_from_torch(pair):
    ours, _ = pair
    torch.manual_seed(0)
    theirs = Examples().eval()
    ours.load_state_dict(theirs.state_dict())
    z = torch.randn(2, 100, 1, 1)
    with torch.no_grad():
        images = theirs.main(z).numpy()
    assert np.abs(ours(z, training=False) - images).max() < 1e-5


def test_reference_row():
    """An untrained DCGAN in train mode: displayed std about .207, achromatic share 1/3 on average.

    Over eight seeds the std varies by .012 and the share by .05 a seed: the means by a third of that.
    """
    gray = np.ones(3) / np.sqrt(3)
    rows = []
    for seed in range(8):
        generator = gch.demo.Generator(rng=seed)
        features = torch.from_numpy(generator.features(generator.sample_latent(16, rng=100 + seed)))
        weight = torch.from_numpy(generator.state_dict()["main.12.weight"])
        images = (
            torch.tanh(torch.nn.functional.conv_transpose2d(features, weight, stride=2, padding=1)).double().numpy()
        )
        deviations = images - images.mean(axis=(2, 3), keepdims=True)
        covariance = np.einsum("nchw,ndhw->cd", deviations, deviations) / deviations[:, 0].size
        rows.append((np.sqrt(np.trace(covariance) / 3), gray @ covariance @ gray / np.trace(covariance)))
    std, share = np.mean(rows, axis=0)
    assert abs(std - 0.207) < 4 * 0.012 / np.sqrt(8)
    assert abs(share - 1 / 3) < 4 * 0.05 / np.sqrt(8)
