"""What is correct: float64 definitions in plain NumPy. Nothing here calls ganchroma.

Each definition is the shortest that a reader can check against its source; none is fast.
"""

import numpy as np

# -- activations ------------------------------------------------------------------------------------------------


def activate(x, activation):
    name, *parameters = (activation,) if isinstance(activation, str) else activation
    x = np.asarray(x, np.float64)
    if name == "tanh":
        return np.tanh(x)
    if name == "sigmoid":
        small = np.exp(-np.abs(x))
        return np.where(x < 0, small, 1) / (1 + small)
    if name == "relu":
        return np.where(x < 0, 0, x)
    if name == "leaky_relu":
        return np.where(x > 0, x, x * (parameters[0] if parameters else 0.01))
    if name == "clamp":
        low, high = parameters or (-1, 1)
        return np.where(x < low, low, np.where(x > high, high, x))
    assert name == "linear"
    return x


def activate_slope(x, activation):
    """The derivative, at the kinks and for NaN as PyTorch has it."""
    name, *parameters = (activation,) if isinstance(activation, str) else activation
    x = np.asarray(x, np.float64)
    if name == "tanh":
        return 4 * np.exp(-2 * np.abs(x)) / (1 + np.exp(-2 * np.abs(x))) ** 2
    if name == "sigmoid":
        return np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x))) ** 2
    if name == "relu":
        return np.where(x <= 0, 0.0, 1.0)
    if name == "leaky_relu":
        return np.where(x > 0, 1.0, parameters[0] if parameters else 0.01)
    if name == "clamp":
        low, high = parameters or (-1, 1)
        return np.where((x >= low) & (x <= high), 1.0, 0.0)
    assert name == "linear"
    return np.ones_like(x)


# -- layer ------------------------------------------------------------------------------------------------------

# Definitions: torch.nn.Conv2d and ConvTranspose2d. Paddings are ((top, bottom), (left, right)).


def conv2d(
    x,
    weight,
    bias=None,
    *,
    stride=(1, 1),
    padding=((0, 0), (0, 0)),
    padding_mode="zeros",
    dilation=(1, 1),
    activation="linear",
    channel_scale=None,
    output_scale=1.0,
):
    x, weight = _scaled(x, channel_scale), np.asarray(weight, np.float64)
    mode = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}[padding_mode]
    padded = np.pad(x, ((0, 0), (0, 0), *padding), mode=mode)
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, weight.shape[2:], strict=True)]
    windows = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=(2, 3))
    taps = windows[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]
    linear = np.tensordot(taps, weight, ((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2)
    return activate(output_scale * linear + _column(bias), activation)


def conv_transpose2d(
    x,
    weight,
    bias=None,
    *,
    stride=(1, 1),
    padding=((0, 0), (0, 0)),
    output_padding=(0, 0),
    dilation=(1, 1),
    activation="linear",
    channel_scale=None,
    output_scale=1.0,
):
    x, weight = _scaled(x, channel_scale), np.asarray(weight, np.float64)
    size = [
        (n - 1) * s + d * (k - 1) + 1 + extra
        for n, s, d, k, extra in zip(x.shape[2:], stride, dilation, weight.shape[2:], output_padding, strict=True)
    ]
    full = np.zeros((len(x), weight.shape[1], *size))
    for ky in range(weight.shape[2]):
        for kx in range(weight.shape[3]):
            rows = slice(ky * dilation[0], ky * dilation[0] + (x.shape[2] - 1) * stride[0] + 1, stride[0])
            columns = slice(kx * dilation[1], kx * dilation[1] + (x.shape[3] - 1) * stride[1] + 1, stride[1])
            full[:, :, rows, columns] += np.tensordot(x, weight[:, :, ky, kx], (1, 0)).transpose(0, 3, 1, 2)
    (top, bottom), (left, right) = padding
    linear = full[:, :, top : size[0] - bottom, left : size[1] - right]
    return activate(output_scale * linear + _column(bias), activation)


def conv2d_backward(
    grad,
    x,
    weight,
    *,
    stride=(1, 1),
    padding=((0, 0), (0, 0)),
    padding_mode="zeros",
    dilation=(1, 1),
    channel_scale=None,
    output_scale=1.0,
):
    """Gradients of x, weight and bias: each tap of the sum that makes an output pixel, differentiated."""
    grad, weight = np.asarray(grad, np.float64), np.asarray(weight, np.float64)
    x_scaled = _scaled(x, channel_scale)
    mode = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}[padding_mode]
    padded = np.pad(x_scaled, ((0, 0), (0, 0), *padding), mode=mode)
    grad_padded, grad_weight = np.zeros_like(padded), np.zeros_like(weight)
    rows, columns = grad.shape[2:]
    for ky in range(weight.shape[2]):
        for kx in range(weight.shape[3]):
            top, left = ky * dilation[0], kx * dilation[1]
            seen = np.s_[
                :,
                :,
                top : top + (rows - 1) * stride[0] + 1 : stride[0],
                left : left + (columns - 1) * stride[1] + 1 : stride[1],
            ]
            grad_padded[seen] += np.tensordot(grad, weight[:, :, ky, kx], (1, 0)).transpose(0, 3, 1, 2)
            grad_weight[:, :, ky, kx] = np.tensordot(grad, padded[seen], ((0, 2, 3), (0, 2, 3)))
    if padding_mode == "zeros":
        place = np.pad(np.arange(x_scaled[0, 0].size).reshape(x_scaled.shape[2:]), padding, constant_values=-1)
    else:
        place = np.pad(np.arange(x_scaled[0, 0].size).reshape(x_scaled.shape[2:]), padding, mode=mode)
    grad_x = np.zeros((*x_scaled.shape[:2], x_scaled[0, 0].size))
    inside = place >= 0
    np.add.at(grad_x, (slice(None), slice(None), place[inside]), grad_padded[:, :, inside])
    grad_x = output_scale * _scaled(grad_x.reshape(x_scaled.shape), channel_scale)
    return grad_x, output_scale * grad_weight, grad.sum((0, 2, 3))


def conv_transpose2d_backward(
    grad,
    x,
    weight,
    *,
    stride=(1, 1),
    padding=((0, 0), (0, 0)),
    output_padding=(0, 0),
    dilation=(1, 1),
    channel_scale=None,
    output_scale=1.0,
):
    grad, weight = np.asarray(grad, np.float64), np.asarray(weight, np.float64)
    x_scaled = _scaled(x, channel_scale)
    full = np.pad(grad, ((0, 0), (0, 0), *padding))  # what the crop took away has no gradient
    grad_x, grad_weight = np.zeros_like(x_scaled), np.zeros_like(weight)
    for ky in range(weight.shape[2]):
        for kx in range(weight.shape[3]):
            rows = slice(ky * dilation[0], ky * dilation[0] + (x_scaled.shape[2] - 1) * stride[0] + 1, stride[0])
            columns = slice(kx * dilation[1], kx * dilation[1] + (x_scaled.shape[3] - 1) * stride[1] + 1, stride[1])
            hit = full[:, :, rows, columns]
            grad_x += np.tensordot(hit, weight[:, :, ky, kx], (1, 1)).transpose(0, 3, 1, 2)
            grad_weight[:, :, ky, kx] = np.tensordot(x_scaled, hit, ((0, 2, 3), (0, 2, 3)))
    grad_x = output_scale * _scaled(grad_x, channel_scale)
    return grad_x, output_scale * grad_weight, grad.sum((0, 2, 3))


def _scaled(x, channel_scale):
    x = np.asarray(x, np.float64)
    if channel_scale is None:
        return x
    factors = np.broadcast_to(np.asarray(channel_scale, np.float64), x.shape[:2])
    return x * factors[:, :, None, None]


def _column(bias):
    return 0.0 if bias is None else np.asarray(bias, np.float64)[:, None, None]


def image_records(images):
    """(N, 11): count, mean, sums of products of deviations RR RG RB GG GB BB, count of non-finite pixels."""
    records = np.zeros((len(images), 11))
    for record, image in zip(records, np.asarray(images, np.float64), strict=True):
        pixels = image.reshape(3, -1)
        finite = np.isfinite(pixels).all(axis=0)
        pixels = pixels[:, finite]
        record[0], record[10] = finite.sum(), (~finite).sum()
        if finite.any():
            record[1:4] = pixels.mean(axis=1)
            apart = pixels - record[1:4, None]
            record[4:10] = (apart @ apart.T)[np.triu_indices(3)]
    return records


# -- colour moments and statistics ------------------------------------------------------------------------------


def image_moments(image):
    """Mean (3,) and covariance (3, 3), ddof 0, of one (3, H, W) image."""
    pixels = np.asarray(image, np.float64).reshape(3, -1)
    mean = pixels.mean(axis=1)
    centered = pixels - mean[:, None]
    return mean, centered @ centered.T / pixels.shape[1]


def set_moments(images):
    """Within, between and total covariance of a list of (3, H, W) images, and the mean of all their pixels."""
    sizes = np.array([image[0].size for image in images], np.float64)
    each = [image_moments(image) for image in images]
    share = sizes / sizes.sum()
    mean = sum(w * m for w, (m, _) in zip(share, each, strict=True))
    within = sum(w * c for w, (_, c) in zip(share, each, strict=True))
    between = sum(w * np.outer(m - mean, m - mean) for w, (m, _) in zip(share, each, strict=True))
    return mean, within, between, within + between


def quantize(images, low, high, rule="round"):
    level = np.clip(255 * (np.asarray(images, np.float64) - low) / (high - low), 0, 255)
    return np.nan_to_num(np.rint(level) if rule == "round" else np.floor(level)).astype(np.uint8)


def colorfulness(levels, absolute=False):
    """Hasler and Suesstrunk 2003, equation 9, of one (3, H, W) image in 0..255."""
    r, g, b = np.asarray(levels, np.float64)
    rg, yb = r - g, (r + g) / 2 - b
    if absolute:
        rg, yb = abs(rg), abs(yb)
    return np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean())


def gray_pixel_share(levels, tolerance):
    levels = np.asarray(levels, np.int64)
    return (levels.max(axis=-3) - levels.min(axis=-3) <= tolerance).mean()


# -- colour -----------------------------------------------------------------------------------------------------


def lab(rgb):
    """CIELAB of sRGB in 0..1, channels first, D65."""
    c = np.asarray(rgb, np.float64)
    with np.errstate(invalid="ignore"):
        linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    matrix = [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
    xyz = np.einsum("ij,...jhw->...ihw", np.array(matrix), linear)
    t = xyz / np.array([0.95047, 1, 1.08883])[:, None, None]
    x, y, z = np.moveaxis(np.where(t > 0.008856, np.cbrt(t), 7.787 * t + 16 / 116), -3, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-3)


def chroma(rgb):
    _, a, b = np.moveaxis(lab(rgb), -3, 0)
    return np.hypot(a, b)


def hsv(rgb):
    """Of one color (r, g, b) in 0..1, by the definition: the sector of the largest channel."""
    r, g, b = (float(value) for value in rgb)
    most, spread = max(r, g, b), max(r, g, b) - min(r, g, b)
    if spread == 0:
        return 0.0, 0.0, most
    if most == r:
        hue = (g - b) / spread
    elif most == g:
        hue = 2 + (b - r) / spread
    else:
        hue = 4 + (r - g) / spread
    return hue / 6 % 1, spread / most, most


# -- initialisers and streams -----------------------------------------------------------------------------------


def philox(counter, key):
    """Philox 4x32-10 of four counter words (each an array of 32-bit numbers) and two key words: four words."""
    c = [np.asarray(word, np.uint64) for word in counter]
    k0, k1 = (int(word) for word in key)
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        high0, low0, high1, low1 = p0 >> 32, p0 & 0xFFFFFFFF, p1 >> 32, p1 & 0xFFFFFFFF
        c = [high1 ^ c[1] ^ np.uint64(k0), low1, high0 ^ c[3] ^ np.uint64(k1), low0]
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return c


def stream_words(key, draw, groups):
    """Words (groups, 4, 16) of the first groups of a stream."""
    block = np.arange(16 * groups, dtype=np.uint64)
    draws = [np.full(block.shape, draw % 2**32, np.uint64), np.full(block.shape, draw >> 32, np.uint64)]
    words = philox([block & 0xFFFFFFFF, block >> 32, *draws], [key % 2**32, key >> 32])
    return np.stack(words).reshape(4, groups, 16).transpose(1, 0, 2)


def stream_uniform(key, draw, count, dtype):
    """Uniform numbers on [0, 1), exact in float64."""
    if np.dtype(dtype) == np.float32:
        return ((stream_words(key, draw, -(-count // 64)) >> 8) * 2.0**-24).reshape(-1)[:count]
    w = stream_words(key, draw, -(-count // 32))
    return (((w[:, 0::2] >> 5) * 2.0**26 + (w[:, 1::2] >> 6)) * 2.0**-53).reshape(-1)[:count]


def stream_normal(key, draw, count, dtype):
    """Standard normal numbers by Box-Muller in float64."""
    if np.dtype(dtype) == np.float32:
        w = stream_words(key, draw, -(-count // 64))
        # The documented u is rounded to float32 after each of its two steps.
        u = (w[:, 0::2].astype(np.float32) + np.float32(0.5)).astype(np.float64) * 2.0**-32
        turns = w[:, 1::2].astype(np.int64) * 2**26
    else:
        w = stream_words(key, draw, -(-count // 32))
        u = ((w[:, 0:1] >> 5) * 2.0**26 + (w[:, 1:2] >> 6) + 0.5) * 2.0**-53
        turns = w[:, 2:3].astype(np.int64) * 2**26 + (w[:, 3:4] >> 6).astype(np.int64)
    quarter = (turns + 2**55) >> 56
    angle = (turns - (quarter << 56)) * (np.pi / 2 * 2.0**-56)
    sine, cosine = np.sin(angle), np.cos(angle)
    quarter = quarter % 4
    radius = np.sqrt(-2 * np.log(u))
    first = radius * np.choose(quarter, [cosine, -sine, -cosine, sine])
    second = radius * np.choose(quarter, [sine, cosine, -sine, -cosine])
    return np.stack([first, second], axis=2).reshape(-1)[:count]


class TorchStream:
    """PyTorch's CPU stream (ATen/native/cpu/DistributionTemplates.h) on NumPy's Mersenne Twister, in float64."""

    def __init__(self, seed):
        self._twister = np.random.RandomState(seed % 2**32)
        self._second = None

    def words(self, count):
        return self._twister.randint(0, 2**32, count, np.uint32)

    def unit(self, count, dtype):
        if dtype == np.float32:
            return (self.words(count) % 2**24) * 2.0**-24
        pairs = self.words(2 * count).astype(np.uint64)
        return ((pairs[::2] << np.uint64(32) | pairs[1::2]) % np.uint64(2**53)) * 2.0**-53

    def normal(self, count, dtype):
        if count < 16:
            return np.array([self._one() for _ in range(count)])
        out = self.unit(count, dtype)
        whole = count - count % 16
        out[:whole] = self._block(out[:whole].reshape(-1, 2, 8)).reshape(-1)
        if count > whole:
            out[-16:] = self._block(self.unit(16, dtype).reshape(1, 2, 8)).reshape(-1)
        return out

    @staticmethod
    def _block(unit):
        radius, angle = np.sqrt(-2 * np.log(1 - unit[:, 0])), 2 * np.pi * unit[:, 1]
        return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)

    def _one(self):
        if self._second is not None:
            value, self._second = self._second, None
            return value
        u1, u2 = self.unit(2, np.float64)
        radius, angle = np.sqrt(-2 * np.log1p(-u2)), 2 * np.pi * u1
        self._second = radius * np.sin(angle)
        return radius * np.cos(angle)

    def randperm(self, count):
        order = list(range(count))
        for i in range(count - 1):
            other = i + int(self.words(1)[0]) % (count - i)
            order[i], order[other] = order[other], order[i]
        return np.array(order, np.int64)


def fans(shape):
    field = int(np.prod(shape[2:]))
    return shape[1] * field, shape[0] * field


# -- spectral norm ----------------------------------------------------------------------------------------------


def spectral_matrix(weight, dim):
    weight = np.moveaxis(np.asarray(weight, np.float64), dim, 0)
    return weight.reshape(len(weight), -1)


def spectral_sigma(weight, dim=0):
    return np.linalg.svd(spectral_matrix(weight, dim), compute_uv=False)[0]


def power_step(matrix, u, v, u_first, eps):
    """One step of the power method as PyTorch orders it."""
    for left in (u_first, not u_first):
        if left:
            u = matrix @ v
            u = u / max(np.linalg.norm(u), eps)
        else:
            v = matrix.T @ u
            v = v / max(np.linalg.norm(v), eps)
    return u, v


# -- frequency response and operator norm -----------------------------------------------------------------------


def wrapped(weight, size):
    """Kernels (..., kh, kw) on a circle of `size`: what reaches beyond it comes around."""
    weight = np.asarray(weight, np.float64)
    image = np.zeros((*weight.shape[:2], *size))
    for y in range(weight.shape[2]):
        for x in range(weight.shape[3]):
            image[:, :, y % size[0], x % size[1]] += weight[:, :, y, x]
    return image


def circular_gains(weight, size, transposed=False, stride=(1, 1)):
    """Singular values (H, W, n) by FFT and SVD on the finer grid: the waves that alias to one coarse wave together.

    H and W are of the coarser image. A convolution with a stride is the adjoint of the transposed one with its weight.
    """
    if not transposed:
        size = (size[0] // stride[0], size[1] // stride[1])
    fine = np.fft.fft2(wrapped(weight, (size[0] * stride[0], size[1] * stride[1])))
    waves = fine.reshape(*fine.shape[:2], stride[0], size[0], stride[1], size[1])
    coarse, finer = fine.shape[:2]
    matrices = waves.transpose(3, 5, 2, 4, 1, 0).reshape(*size, stride[0] * stride[1] * finer, coarse)
    return np.linalg.svd(matrices, compute_uv=False) / np.sqrt(stride[0] * stride[1])


def circular_matrix(weight, size, transposed=False, stride=(1, 1)):
    """The layer on a circle as a matrix from (C, H, W) to (O, H', W'); `size` is of its input."""
    if transposed:
        return circular_matrix(weight, (size[0] * stride[0], size[1] * stride[1]), stride=stride).T
    kernels = wrapped(weight, size)
    taps = [(np.arange(n)[None] - np.arange(0, n, s)[:, None]) % n for n, s in zip(size, stride, strict=True)]
    blocks = kernels[:, :, taps[0][:, None, :, None], taps[1][None, :, None, :]]  # (O, C, out y, out x, in y, in x)
    return blocks.transpose(0, 2, 3, 1, 4, 5).reshape(len(kernels) * taps[0].shape[0] * taps[1].shape[0], -1)


def layer_matrix(layer, channels, size):
    """A layer, a function of (N, C, H, W), as a matrix: what it makes of every unit vector."""
    images = np.eye(channels * size[0] * size[1]).reshape(-1, channels, *size)
    return layer(images).reshape(len(images), -1).T
