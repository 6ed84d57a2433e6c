"""Colour: statistics of bytes and CIELAB."""

import numpy as np
import oracle

import ganchroma as gch
from benchmarks.case import Call, Case, Reading, Setting, Work
from benchmarks.peers import NUMPY, OPENCV, PYTORCH, SCIKIT_IMAGE
from ganchroma._images import read_images
from ganchroma.color import image_records

IMAGES = (256, 3, 256, 256)  # 50 MB of bytes: more than caches hold
PICTURE = (1024, 1024, 3)


def cases() -> list[Case]:
    return [
        Case("colour", "moments of bytes, 256 of 256x256", prepare_moments),
        Case("colour", "M3, correlation, gray share of bytes, 256 of 256x256", prepare_measures),
        Case("colour", "CIELAB of float32, 1024x1024", prepare_lab),
    ]


def bytes_of_images() -> np.ndarray:
    """Related channels, as in pictures."""
    rng = np.random.default_rng(0)
    gray = rng.integers(0, 200, (IMAGES[0], 1, *IMAGES[2:]), np.uint8)
    return gray + rng.integers(0, 56, IMAGES, np.uint8)


def prepare_moments(setting: Setting) -> Work:
    """Of each image the mean and the sums of products of deviations from it."""
    images = bytes_of_images()
    peers: dict[str, Call] = {}
    if setting.peers[NUMPY]:
        peers[NUMPY] = lambda: np.stack([moments_by_numpy(image) for image in images])
    if torch := setting.peers[PYTORCH]:
        tensors = torch.from_numpy(images)

        def by_torch() -> np.ndarray:
            pixels = tensors.flatten(2).float()
            mean = pixels.mean(2, keepdim=True)
            centered = pixels - mean
            return record(mean[..., 0].numpy(), torch.bmm(centered, centered.transpose(1, 2)).numpy())

        peers[PYTORCH] = by_torch
    return Work(
        ours=lambda: image_records(read_images(images, None, "NCHW")),
        exact=lambda: oracle.image_records(images)[:, 1:10],
        compared=lambda records: records[:, 1:10] if records.shape[1] > 9 else records,
        tolerance=1e-14,
        tolerance_of_peers=1e-3,  # PyTorch's sums of 65,536 products in float32
        peers=peers,
        limit=Reading(images),
    )


def moments_by_numpy(image: np.ndarray) -> np.ndarray:
    pixels = image.reshape(3, -1).astype(np.float64)
    mean = pixels.mean(axis=1, keepdims=True)
    pixels -= mean
    return record(mean[:, 0], pixels @ pixels.T)


def record(mean: np.ndarray, scatter: np.ndarray) -> np.ndarray:
    """R, G, B, then RR, RG, RB, GG, GB, BB."""
    rows, columns = np.triu_indices(3)
    return np.concatenate([mean, scatter[..., rows, columns]], axis=-1)


def prepare_measures(setting: Setting) -> Work:
    """Over all images: the mean M3, three correlations, the share of pixels that are exactly gray; of chroma, which is
    not asked for, one pixel an image."""
    images = bytes_of_images()

    def ours() -> list[float]:
        summary = gch.ChromaStats(chroma_samples=1).update(images).summary()
        return [summary.colorfulness, *summary.within.correlation, summary.gray_pixel_shares[0]]

    def exact() -> np.ndarray:
        m3 = np.mean([oracle.colorfulness(image) for image in images])
        gray = np.mean([oracle.gray_pixel_share(image, 0) for image in images])
        return np.array([m3, *correlation(oracle.set_moments(images)[1]), gray])

    return Work(
        ours=ours,
        exact=exact,
        tolerance=1e-9,  # the state holds M3 in fixed point
        absolute=True,
        peers={NUMPY: lambda: measures_by_numpy(images)} if setting.peers[NUMPY] else {},
        limit=Reading(images),
    )


def correlation(covariance: np.ndarray) -> np.ndarray:
    std = np.sqrt(np.diag(covariance))
    return (covariance / np.outer(std, std))[np.triu_indices(3, 1)]


def measures_by_numpy(images: np.ndarray) -> np.ndarray:
    m3, gray, scatter = 0.0, 0.0, np.zeros((3, 3))
    for image in images:
        pixels = image.reshape(3, -1).astype(np.float64)
        red, green, blue = pixels
        rg, yb = red - green, (red + green) / 2 - blue
        m3 += np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean())
        gray += (image.max(axis=0) == image.min(axis=0)).mean()
        scatter += np.cov(pixels, ddof=0)
    return np.array([m3 / len(images), *correlation(scatter), gray / len(images)])


def prepare_lab(setting: Setting) -> Work:
    """Channels last, as the peers have them. The errors are in units of L, a, b."""
    picture = np.random.default_rng(0).random(PICTURE, np.float32)
    peers: dict[str, Call] = {}
    if cv2 := setting.peers[OPENCV]:
        peers[OPENCV] = lambda: cv2.cvtColor(picture, cv2.COLOR_RGB2LAB)
    if skimage := setting.peers[SCIKIT_IMAGE]:
        peers[SCIKIT_IMAGE] = lambda: skimage.color.rgb2lab(picture)
    return Work(
        ours=lambda: gch.color.rgb_to_lab(picture, value_range=(0, 1), layout="NHWC"),
        exact=lambda: np.moveaxis(oracle.lab(np.moveaxis(picture, -1, 0)), 0, -1),
        tolerance=1e-4,
        tolerance_of_peers=1.0,  # OpenCV interpolates in tables
        absolute=True,
        peers=peers,
        limit=Reading(picture),
    )
