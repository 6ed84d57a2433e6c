"""Layers whose arrays begin or end where memory does: what is read beside a row must lie inside the array."""

import ctypes
import itertools
import mmap

import numpy as np
import pytest

import ganchroma as gch

LAYERS = {
    False: (gch.conv2d, gch.conv2d_backward),
    True: (gch.conv_transpose2d, gch.conv_transpose2d_backward),
}
SIZES = ((1, 1), (1, 3), (3, 8), (3, 13), (2, 16), (3, 21))


class Fenced:
    """Memory between two pages that nobody may read: a wrong step ends the process."""

    def __init__(self, size=1 << 20):
        page = mmap.PAGESIZE
        self.memory, self.begin, self.size = mmap.mmap(-1, size + 2 * page), page, size
        start = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        protect = ctypes.CDLL(None).mprotect
        protect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        for fence in (start, start + page + size):
            assert protect(fence, page, 0) == 0

    def put(self, array, at_end):
        at = self.begin + (self.size - array.nbytes if at_end else 0)
        placed = np.frombuffer(self.memory, array.dtype, array.size, at).reshape(array.shape)
        placed[...] = array
        return placed


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("at_end", [False, True])
def test_nothing_is_read_outside_the_arrays(isa, rng, transposed, dtype, at_end):
    layer, backward = LAYERS[transposed]
    inputs, gradients = Fenced(), Fenced()
    for kernel, images, channels, size in itertools.product((1, 3, 7), (1, 3, 20), (1, 2), SIZES):
        weight = rng.standard_normal((channels, channels, kernel, kernel)).astype(dtype)
        x = rng.standard_normal((images, channels, *size)).astype(dtype)
        padding = {"padding": kernel // 2}
        result = layer(inputs.put(x, at_end), weight, **padding)
        assert np.array_equal(result, layer(x, weight, **padding))
        placed = backward(gradients.put(x, at_end), inputs.put(x, at_end), weight, **padding)
        for ours, plain in zip(placed, backward(x, x, weight, **padding), strict=True):
            assert np.array_equal(ours, plain)
