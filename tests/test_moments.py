"""ColorMoments: what it says, what it refuses."""

import json
import math

import numpy as np
import oracle
import pytest

import ganchroma as gch

GRAY = np.ones((3, 3))


def moments(covariance=None, mean=(0.1, 0.2, 0.3), count=100, value_range=(-1, 1)):
    return gch.ColorMoments(count, mean, np.eye(3) if covariance is None else covariance, value_range)


@pytest.fixture
def some():
    rng = np.random.default_rng(7)
    root = rng.normal(size=(3, 3))
    return moments(root @ root.T)


def test_properties_follow_their_definitions(some):
    c = some.covariance
    values = np.linalg.eigvals(c).real
    share = values / values.sum()
    ones = np.ones(3) / math.sqrt(3)
    main = np.linalg.svd(c)[0][:, 0]
    assert some.std == pytest.approx(np.sqrt(np.diag(c)), rel=1e-15)
    assert some.std_levels == pytest.approx(math.sqrt(np.trace(c) / 3) * 127.5, rel=1e-14)
    assert some.achromatic_share == pytest.approx(ones @ c @ ones / np.trace(c), rel=1e-14)
    corr = np.corrcoef(np.random.default_rng(0).multivariate_normal(np.zeros(3), c, 200_000), rowvar=False)
    assert some.correlation == pytest.approx([corr[0, 1], corr[0, 2], corr[1, 2]], abs=0.01)  # 200,000 samples: .002
    assert some.effective_rank == pytest.approx(math.exp(-(share * np.log(share)).sum()), rel=1e-12)
    assert some.participation_ratio == pytest.approx(values.sum() ** 2 / (values**2).sum(), rel=1e-12)
    assert some.gray_angle_degrees == pytest.approx(math.degrees(math.acos(abs(main @ ones))), rel=1e-9)


def test_gray_is_rank_one_along_the_gray_axis():
    gray = moments(GRAY * 0.3)
    assert gray.achromatic_share == pytest.approx(1, abs=1e-15)
    assert gray.correlation == pytest.approx([1, 1, 1], abs=1e-15)
    assert gray.effective_rank == pytest.approx(1, abs=1e-6)  # the entropy of an eigenvalue of 1e-17
    assert gray.gray_angle_degrees == pytest.approx(0, abs=1e-6)


def test_one_tint_is_rank_one_away_from_gray():
    tint = moments(np.outer([1, -1, 0], [1, -1, 0]))
    assert tint.achromatic_share == pytest.approx(0, abs=1e-15)
    assert tint.gray_angle_degrees == pytest.approx(90, abs=1e-9)
    assert tint.effective_rank == pytest.approx(1, abs=1e-6)
    assert tint.correlation[0] == -1
    assert np.isnan(tint.correlation[1:]).all()


@pytest.mark.parametrize("covariance", [np.zeros((3, 3)), np.eye(3) * 1e-30])
def test_flat_says_nan_not_noise(covariance):
    """A constant .3 summed in double leaves a variance of about 1e-32: that is no colour."""
    flat = moments(covariance)
    said = [flat.achromatic_share, flat.effective_rank, flat.participation_ratio, flat.gray_angle_degrees]
    assert np.isnan(said).all()
    assert np.isnan(flat.correlation).all()


def test_small_amplitude_is_not_flat():
    tiny = moments(np.eye(3) * 1e-20, mean=(0, 0, 0))
    assert tiny.achromatic_share == pytest.approx(1 / 3)


def test_natural_images():
    natural = gch.color.NATURAL
    assert natural.correlation == pytest.approx([0.914, 0.794, 0.909], abs=5e-4)
    assert natural.achromatic_share == pytest.approx(0.914, abs=5e-4)
    assert natural.value_range == (0, 1)
    assert natural.mean.tolist() == [0.48, 0.46, 0.41]


def test_opponent_axes_are_orthonormal_and_end_in_gray(some):
    axes = gch.color.OPPONENT_AXES
    assert axes @ axes.T == pytest.approx(np.eye(3), abs=1e-15)
    rotated = axes @ some.covariance @ axes.T
    assert rotated[2, 2] / np.trace(rotated) == pytest.approx(some.achromatic_share, rel=1e-14)


def test_to_another_range_and_back(some):
    there = some.to((0, 255))
    assert there.std_levels == pytest.approx(some.std_levels, rel=1e-14)
    assert there.mean == pytest.approx((some.mean + 1) * 127.5, rel=1e-14)
    assert there.achromatic_share == pytest.approx(some.achromatic_share, rel=1e-14)
    assert there.to((-1, 1)).allclose(some)


def test_merge_pools_within_image_moments():
    rng = np.random.default_rng(3)
    sets = [rng.random((n, 3, 5, 4)) for n in (2, 5)]
    both = [oracle.set_moments(images) for images in sets]
    one, two = (gch.ColorMoments(20 * len(s), m[0], m[1], (0, 1)) for s, m in zip(sets, both, strict=True))
    mean, within, _, _ = oracle.set_moments(np.concatenate(sets))
    merged = one + two
    assert merged.count == 140
    assert merged.mean == pytest.approx(mean, rel=1e-14)
    assert merged.covariance == pytest.approx(within, rel=1e-13)
    assert one.merge(two) == merged


def test_merge_with_nothing():
    empty = gch.ColorMoments.empty((-1, 1))
    assert empty.merge(moments()) == moments()
    assert moments().merge(empty) == moments()
    assert empty.merge(empty) == empty
    assert math.isnan(empty.std_levels)
    assert math.isnan(empty.gray_angle_degrees)


def test_merge_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match=r"other has value_range \(0\.0, 1\.0\).*other\.to"):
        moments().merge(moments(value_range=(0, 1)))
    with pytest.raises(TypeError, match="other must be a ColorMoments"):
        moments().merge(3)
    with pytest.raises(TypeError):
        moments() + 3


def test_pooling_records_of_images():
    rng = np.random.default_rng(4)
    images = [rng.random((3, 4, n)) for n in (3, 9)]
    records = []
    for image in images:
        mean, covariance = oracle.image_moments(image)
        size = image[0].size
        records.append([size, *mean, *(size * covariance)[np.triu_indices(3)], 0])
    records.append([0] * 10 + [12])  # an image of nothing but NaN
    mean, within, _, _ = oracle.set_moments(images)
    pooled = gch.ColorMoments.from_images_records(records, (0, 1))
    assert pooled.count == 48
    assert pooled.mean == pytest.approx(mean, rel=1e-14)
    assert pooled.covariance == pytest.approx(within, rel=1e-13)
    assert gch.ColorMoments.from_images_records([], (0, 1)) == gch.ColorMoments.empty((0, 1))


def test_to_dict_is_json(some):
    said = json.loads(json.dumps(some.to_dict(), allow_nan=False))
    measures = "achromatic_share correlation effective_rank gray_angle_degrees std_levels"
    assert list(said) == ["count", "mean", "std", "covariance", *measures.split(), "value_range"]
    assert np.array_equal(said["covariance"], some.covariance)
    empty = json.loads(json.dumps(gch.ColorMoments.empty((0, 1)).to_dict(), allow_nan=False))
    assert empty["mean"] == [None, None, None]
    assert empty["achromatic_share"] is None


def test_is_immutable_and_its_own(some):
    source = np.eye(3)
    own = moments(source)
    source[0, 0] = 9
    assert own.covariance[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        own.covariance[0, 0] = 2
    with pytest.raises(AttributeError):
        own.count = 3
    assert own == moments()
    assert own != moments(np.eye(3) * (1 + 1e-15))
    assert own.allclose(moments(np.eye(3) * (1 + 1e-12)))
    assert not own.allclose(moments(np.eye(3) * 1.001))
    assert own != "another thing"
    with pytest.raises(TypeError, match="other must be a ColorMoments, got int"):
        own.allclose(3)
    assert hash(own) == hash(moments())
    assert "achromatic_share=0.333" in repr(own)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"count": "many"}, TypeError, "count must be an integer, got 'many'"),
        ({"count": 1.5}, TypeError, "count must be an integer, got 1.5"),
        ({"count": -1}, ValueError, "count must be at least 0 and below"),
        ({"count": 10**5000}, ValueError, "below 2.*63, got an object of type int"),
        ({"mean": (1, 2)}, ValueError, r"mean must have shape \(3,\), got \(2,\)"),
        ({"mean": "gray"}, TypeError, "mean can't be read as real numbers"),
        ({"mean": (0, np.nan, 0)}, ValueError, "mean must be finite"),
        ({"covariance": np.eye(2)}, ValueError, r"covariance must have shape \(3, 3\)"),
        ({"covariance": np.arange(9.0).reshape(3, 3)}, ValueError, "covariance must be symmetric"),
        ({"covariance": -np.eye(3)}, ValueError, "positive semidefinite, got the eigenvalue -1"),
        ({"covariance": np.full((3, 3), np.inf)}, ValueError, "covariance must be finite"),
        ({"value_range": (1, 1)}, ValueError, "value_range must be finite with low < high"),
        ({"value_range": (0, np.inf)}, ValueError, "value_range must be finite"),
        ({"value_range": 1}, TypeError, "value_range must be a pair of numbers"),
        ({"value_range": (0, 1, 2)}, TypeError, "value_range must be a pair of numbers"),
    ],
)
def test_wrong_arguments(arguments, error, text):
    with pytest.raises(error, match=text):
        moments(**arguments)


@pytest.mark.parametrize("records", [np.zeros((2, 10)), np.zeros(11)])
def test_wrong_records(records):
    with pytest.raises(ValueError, match=r"records must have shape \(N, 11\)"):
        gch.ColorMoments.from_images_records(records, (0, 1))
    for count in (np.nan, np.inf, 0.5, -1):
        with pytest.raises(ValueError, match="records must begin with a count"):
            gch.ColorMoments.from_images_records([[1] + [0] * 10, [count] + [0] * 10], (0, 1))
    with pytest.raises(TypeError, match="records can't be read"):
        gch.ColorMoments.from_images_records("nothing", (0, 1))


def test_the_smallest_covariance():
    assert gch.ColorMoments(1, [0, 0, 0], 1e-200 * np.eye(3), (0, 1)).participation_ratio == 3


def test_the_largest_covariance():
    moments = gch.ColorMoments(1, [0, 0, 0], 1.5e308 * np.eye(3), (0, 1))
    assert (np.diagonal(moments.covariance) == 1.5e308).all()
