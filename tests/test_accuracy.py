"""float64 against long double or fractions, where a definition in float64 would be no better than what it checks."""

import math
from fractions import Fraction

import numpy as np
import pytest

import ganchroma as gch

LONG = np.longdouble
RELATIVE = 1e-14  # of the root mean square; measured 2e-16 to 5e-16

pytestmark = pytest.mark.skipif(np.finfo(LONG).nmant < 63, reason="long double is double here")


def conv(x, weight):
    """Valid, stride 1."""
    rows, columns = (n - k + 1 for n, k in zip(x.shape[2:], weight.shape[2:], strict=True))
    x, weight = x.astype(LONG), weight.astype(LONG)
    total = np.zeros((len(x), len(weight), rows, columns), LONG)
    for ky, kx in np.ndindex(*weight.shape[2:]):
        seen = x[:, :, ky : ky + rows, kx : kx + columns]
        total += np.tensordot(seen, weight[:, :, ky, kx], (1, 1)).transpose(0, 3, 1, 2)
    return total


def conv_transpose(x, weight, stride):
    reach = [(n - 1) * stride + k for n, k in zip(x.shape[2:], weight.shape[2:], strict=True)]
    total = np.zeros((len(x), weight.shape[1], *reach), LONG)
    x, weight = x.astype(LONG), weight.astype(LONG)
    for ky, kx in np.ndindex(*weight.shape[2:]):
        rows = slice(ky, ky + (x.shape[2] - 1) * stride + 1, stride)
        columns = slice(kx, kx + (x.shape[3] - 1) * stride + 1, stride)
        total[:, :, rows, columns] += np.tensordot(x, weight[:, :, ky, kx], (1, 0)).transpose(0, 3, 1, 2)
    return total


def weight_gradient(grad, x, kernel):
    rows, columns = grad.shape[2:]
    grad, x = grad.astype(LONG), x.astype(LONG)
    total = np.zeros((grad.shape[1], x.shape[1], *kernel), LONG)
    for ky, kx in np.ndindex(*kernel):
        seen = x[:, :, ky : ky + rows, kx : kx + columns]
        total[:, :, ky, kx] = np.tensordot(grad, seen, ((0, 2, 3), (0, 2, 3)))
    return total


def relative_error(result, exact):
    return float(np.sqrt(np.mean((result - exact) ** 2) / np.mean(exact**2)))


def test_conv2d(rng):
    x, weight = rng.standard_normal((1, 40, 186, 186)), rng.standard_normal((3, 40, 3, 3))
    result = gch.conv2d(x, weight)
    assert result.size > 1e5
    assert relative_error(result, conv(x, weight)) <= RELATIVE


def test_conv_transpose2d(rng):
    x, weight = rng.standard_normal((1, 40, 92, 92)), rng.standard_normal((40, 3, 4, 4))
    result = gch.conv_transpose2d(x, weight, stride=2)
    assert result.size > 1e5
    assert relative_error(result, conv_transpose(x, weight, 2)) <= RELATIVE


def test_gradients(rng):
    x, weight = rng.standard_normal((2, 36, 42, 42)), rng.standard_normal((3, 36, 3, 3))
    grad = rng.standard_normal((2, 3, 40, 40))
    gx, gw, gb = gch.conv2d_backward(grad, x, weight)
    assert gx.size > 1e5
    assert relative_error(gx, conv_transpose(grad, weight, 1)) <= RELATIVE
    assert relative_error(gw, weight_gradient(grad, x, (3, 3))) <= RELATIVE
    assert relative_error(gb, grad.astype(LONG).sum((0, 2, 3))) <= RELATIVE


@pytest.mark.parametrize("middle", [0.0, 0.1, 0.45, 0.9, 3.0])
@pytest.mark.parametrize("spread", [1e-1, 1e-3, 1e-6, 1e-9, 1e-12])
def test_standard_deviations_of_faint_images_far_from_the_middle_of_the_range(rng, middle, spread):
    """The stated 1e-15 of the range, for what the images differ by as for all of it; exact values by fractions."""
    means = middle + spread * rng.standard_normal((6, 1, 1, 1))
    images = means + spread * rng.standard_normal((6, 3, 3, 4))
    summary = gch.ChromaStats((-1, 1)).update(images).summary()
    for channel in range(3):
        values = [[Fraction(value) for value in image[channel].ravel().tolist()] for image in images]
        of_images = [sum(image) / 12 for image in values]
        mean = sum(of_images) / 6
        between = sum((of_image - mean) ** 2 for of_image in of_images) / 6
        total = sum((value - mean) ** 2 for image in values for value in image) / 72
        assert abs(summary.total.std[channel] - math.sqrt(total)) < 2e-15
        assert abs(summary.between.std[channel] - math.sqrt(between)) < 2e-15


def test_images_that_differ_in_nothing_but_order_differ_by_nothing(rng):
    one = 0.9 + 0.01 * rng.standard_normal((3, 64, 64))
    images = np.stack([rng.permuted(one.reshape(3, -1), axis=1).reshape(one.shape) for _ in range(4)])
    assert gch.ChromaStats((-1, 1)).update(images).summary().between.variance == 0
