"""ChromaStats as a state: empty, merged, written to files."""

import copy
import json
import pickle
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support import same_bits

import ganchroma as gch
from ganchroma._images import read_images
from ganchroma._level_records import LevelRecords
from ganchroma.stats import _COUNTS


def stats_of(*batches, value_range=None, **options):
    stats = gch.ChromaStats(value_range, **options)
    for batch in batches:
        stats.update(batch)
    return stats


def test_empty():
    stats = gch.ChromaStats((-1, 1))
    stats.update(np.zeros((0, 3, 4, 4), np.float32))
    assert stats == gch.ChromaStats((-1, 1))
    summary = stats.summary()
    assert (summary.images, summary.pixels) == (0, 0)
    numbers = [summary.colorfulness, summary.chroma, summary.gray_pixel_share, summary.near_end_share, summary.minimum]
    assert np.isnan(numbers).all()
    assert json.dumps(summary.to_dict(), allow_nan=False)
    assert "0 images" in str(summary)
    with pytest.raises(ValueError, match="nothing to summarise"):
        gch.ChromaStats().summary()


def test_empty_states_merge(rng):
    levels = rng.integers(0, 256, (2, 3, 4, 4), dtype=np.uint8)
    filled = stats_of(levels)
    assert gch.ChromaStats() + filled == filled
    assert filled + gch.ChromaStats() == filled
    assert gch.ChromaStats() + gch.ChromaStats() == gch.ChromaStats()
    assert (gch.ChromaStats() + gch.ChromaStats((0, 1))).value_range == (0, 1)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_zeros_of_both_signs_are_one(rng, dtype):
    images = np.copysign(0, rng.normal(size=(4, 3, 8, 9))).astype(dtype)
    wholes = [stats_of(some, value_range=(0, 1)).state()["extremes"].tobytes() for some in (images, images[::-1])]
    for split in (images[:1], images[1:]), (images[3:], images[:3]), (abs(images), -abs(images)):
        assert stats_of(*split, value_range=(0, 1)).state()["extremes"].tobytes() == wholes[0] == wholes[1]


def test_merge_is_in_place_and_add_is_not(rng):
    levels = rng.integers(0, 256, (2, 3, 4, 4), dtype=np.uint8)
    one, two = stats_of(levels[0]), stats_of(levels[1])
    both = one + two
    assert one == stats_of(levels[0])
    assert two == stats_of(levels[1])
    assert one.merge(two) is one
    assert one == both == stats_of(levels)
    assert two == stats_of(levels[1])
    assert one.merge(one) == stats_of(levels, levels)
    with pytest.raises(TypeError):
        hash(one)
    assert repr(one) == "ChromaStats(images=4, value_range=(0.0, 255.0), layout='NCHW', quantize='round')"


def test_mixed_states_refuse_to_merge(rng):
    floats = rng.random((1, 3, 4, 4))
    base = stats_of(floats, value_range=(0, 255))
    for other, text in [
        (gch.ChromaStats((0, 1)), r"other has value_range \(0\.0, 1\.0\); accepted: \(0\.0, 255\.0\)"),
        (gch.ChromaStats((0, 255), layout="NHWC"), "other has layout 'NHWC'; accepted: 'NCHW'"),
        (gch.ChromaStats((0, 255), quantize="floor"), "other has quantize 'floor'; accepted: 'round'"),
        (stats_of(np.zeros((1, 3, 4, 4), np.uint8)), "uint8, the other floats"),
    ]:
        with pytest.raises(ValueError, match=text):
            base.merge(other)
        with pytest.raises(ValueError, match=text):
            base + other
    assert base == stats_of(floats, value_range=(0, 255))
    with pytest.raises(TypeError, match="other must be a ChromaStats, got dict"):
        base.merge({})
    with pytest.raises(TypeError):
        base + 1


@pytest.mark.parametrize("kind", ["bytes", "floats", "mixed sizes", "empty"])
def test_save_and_load(rng, tmp_path, kind):
    stats = {
        "bytes": lambda: stats_of(rng.integers(0, 256, (3, 3, 4, 5), dtype=np.uint8)),
        "floats": lambda: stats_of(rng.random((3, 4, 5, 3)), value_range=(0, 1), layout="NHWC", quantize="floor"),
        "mixed sizes": lambda: stats_of(np.ones((3, 4, 5), np.uint8), np.ones((3, 6, 5), np.uint8)),
        "empty": gch.ChromaStats,
    }[kind]()
    path = tmp_path / "state.npz"
    path.write_text("what stood there")
    stats.save(path)
    again = gch.ChromaStats.load(str(path))
    assert again == stats
    assert (again.layout, again.quantize, again.value_range) == (stats.layout, stats.quantize, stats.value_range)
    assert [p.name for p in tmp_path.iterdir()] == ["state.npz"]
    assert pickle.loads(pickle.dumps(stats)) == stats
    if kind != "empty":
        assert again.merge(stats).summary().images == 2 * stats.summary().images


@pytest.mark.parametrize(
    ("version", "samples", "pixels", "chroma"), [(1, None, 90, 50.70368381076389), (2, 16, 90, 57.952392578125)]
)
def test_a_file_of_an_older_version_loads(tmp_path, version, samples, pixels, chroma):
    """Written by releases before `chroma_samples`, before `moments_only`; the numbers are those they printed."""
    old = gch.ChromaStats.load(Path(__file__).parent / f"data/stats_version_{version}.npz")
    summary = old.summary()
    assert (old.chroma_samples, old.moments_only, summary.images, summary.pixels) == (samples, False, 3, pixels)
    assert summary.chroma == chroma
    assert summary.fixed is not None
    old.save(tmp_path / "new.npz")
    assert gch.ChromaStats.load(tmp_path / "new.npz") == old


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("kind", ["bytes", "floats"])
def test_moments_only(isa, rng, tmp_path, kind, layout):
    """The same moments to the bit; nothing of what a screen shows, and nothing that claims to be 0."""
    shape = (5, 3, 70, 61) if layout == "NCHW" else (5, 70, 61, 3)
    images = rng.integers(0, 256, shape, dtype=np.uint8)
    options = {"layout": layout} if kind == "bytes" else {"layout": layout, "value_range": (-1, 1)}
    if kind == "floats":
        images = (images / 127.5 - 1).astype(np.float32)
        images[1, 2, 2, 2] = np.nan
    whole, some = stats_of(images, **options), stats_of(images, moments_only=True, **options)
    full, lean = whole.summary(), some.summary()
    for name in ("within", "between", "total"):
        assert same_bits(getattr(lean, name).covariance, getattr(full, name).covariance)
    assert (lean.images, lean.pixels, lean.nonfinite) == (full.images, full.pixels, full.nonfinite)
    shown = ("colorfulness", "colorfulness_variant", "chroma", "gray_pixel_share", "gray_images", "near_end_share")
    assert np.isnan([getattr(lean, name) for name in (*shown, "minimum", "maximum")]).all()
    assert np.isnan(lean.gray_pixel_shares + lean.clipped_share).all()
    assert lean.fixed is None
    assert "nan" not in json.dumps(lean.to_dict(), allow_nan=False)
    assert str(lean)
    some.save(tmp_path / "some.npz")
    assert gch.ChromaStats.load(tmp_path / "some.npz") == some
    split = [stats_of(part, moments_only=True, **options) for part in (images[:2], images[2:])]
    assert split[1] + split[0] == some
    with pytest.raises(ValueError, match="other has moments_only False; accepted: True"):
        some.merge(whole)


def test_chroma_samples_are_of_pixels_spread_over_the_image(rng):
    smooth = np.cumsum(rng.normal(size=(5, 3, 96, 128)), axis=-1)
    levels = np.clip(128 + 8 * smooth, 0, 255).astype(np.uint8)
    every, some = stats_of(levels), stats_of(levels, chroma_samples=1024)
    assert some.summary().chroma == pytest.approx(every.summary().chroma, rel=0.05)  # 5,000 of 61,000 pixels
    assert some.summary().chroma != every.summary().chroma
    assert replace(some.summary(), chroma=0) == replace(every.summary(), chroma=0)
    assert stats_of(levels[:2], levels[2:], chroma_samples=1024) == some
    assert stats_of(levels, chroma_samples=10**9).summary() == every.summary()
    with pytest.raises(ValueError, match="other has chroma_samples 1024; accepted: None"):
        every.merge(some)
    for wrong, error in ((0, ValueError), (2.5, TypeError), (True, TypeError)):
        with pytest.raises(error, match="chroma_samples must be"):
            gch.ChromaStats(chroma_samples=wrong)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_masked_images_do_not_count(rng, dtype):
    batch = rng.integers(0, 256, (4, 3, 6, 5)).astype(dtype)
    keep = np.array([True, False, True, False])
    filled = gch.ChromaStats((0, 255)).update(batch, mask=keep)
    assert filled == stats_of(batch[keep], value_range=(0, 255))
    assert gch.ChromaStats((0, 255)).update(batch, mask=[False] * 4) == gch.ChromaStats((0, 255))
    assert gch.ChromaStats((0, 255)).update(batch[0], mask=[True]) == stats_of(batch[0], value_range=(0, 255))
    with pytest.raises(ValueError, match=r"mask must have shape \(4,\), one entry an image; got \(3,\)"):
        filled.update(batch, mask=keep[:3])
    with pytest.raises(TypeError, match="mask has dtype int64"):
        filled.update(batch, mask=[1, 0, 1, 0])


def test_damaged_files_are_refused(rng, tmp_path):
    path = tmp_path / "state.npz"
    stats_of(rng.integers(0, 256, (2, 3, 16, 16), dtype=np.uint8)).save(path)
    good = path.read_bytes()
    for size in (0, 1, 100, len(good) // 2, len(good) - 1):
        path.write_bytes(good[:size])
        with pytest.raises(ValueError, match=r"state\.npz can't be read as ChromaStats: it is no complete"):
            gch.ChromaStats.load(path)
    middle = bytearray(good)
    middle[len(good) // 2] ^= 0xFF
    path.write_bytes(middle)
    with pytest.raises(ValueError, match=r"state\.npz can't be read"):
        gch.ChromaStats.load(path)
    with pytest.raises(FileNotFoundError):
        gch.ChromaStats.load(tmp_path / "none.npz")
    directory = good.rindex(b"PK\1\2")
    path.write_bytes(good[: directory + 42] + b"\xff\xff\xff\x7f" + good[directory + 46 :])  # where an entry begins
    with pytest.raises(ValueError, match=r"state\.npz can't be read"):
        gch.ChromaStats.load(path)
    path.write_bytes(good[100:])  # entries begin before the file does
    with pytest.raises(ValueError, match=r"state\.npz can't be read"):
        gch.ChromaStats.load(path)
    np.savez(path, a=np.ones(3))
    with pytest.raises(ValueError, match="no entry 'version'"):
        gch.ChromaStats.load(path)
    np.savez(path, version=np.array([{"a": 1}], object))
    with pytest.raises(ValueError, match=r"state\.npz can't be read.*'version': it holds Python objects"):
        gch.ChromaStats.load(path)


def test_a_state_that_lacks_an_entry_is_told_which():
    whole = stats_of(np.zeros((1, 3, 2, 2), np.uint8)).state()
    for name in whole:
        with pytest.raises(KeyError, match=rf"state has no entry '{name}'; accepted: what ChromaStats\.state"):
            gch.ChromaStats.from_state({key: array for key, array in whole.items() if key != name})


def test_records_of_another_kind_are_refused():
    for wrong in (None, 5, np.zeros((2, 31), np.int64)):
        with pytest.raises(TypeError, match="records must be LevelRecords, got"):
            gch.ChromaStats().update_from(wrong)


def test_records_of_bytes_do_not_mix_with_floats(rng):
    records = LevelRecords.empty(2)
    records.measure(0, read_images(rng.integers(0, 256, (2, 3, 4, 4), dtype=np.uint8), None, "NCHW"), "round", None, 1)
    assert gch.ChromaStats().update_from(records).count("images") == 2
    floats = rng.random((1, 3, 4, 4))
    for value_range, text in (
        ((-1, 1), r"value_range \(0\.0, 255\.0\); accepted: \(-1\.0, 1"),
        ((0, 255), "the other floats"),
    ):
        stats = stats_of(floats, value_range=value_range)
        with pytest.raises(ValueError, match=text):
            stats.update_from(records)
        assert stats == stats_of(floats, value_range=value_range)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"version": 4}, "it has version 4, this program reads versions 1 to 3"),
        ({"version": 0}, "it has version 0, this program reads versions 1 to 3"),
        ({"chroma_samples": -1}, "chroma_samples must be at least 1"),
        ({"counts": np.zeros(3, np.int64)}, "counts has dtype int64 and shape"),
        ({"sums": np.zeros((18, 8))}, "sums has dtype float64"),
        ({"positions": np.zeros((3, 2, 2), np.int64)}, "positions has"),
        ({"kind": "none"}, "contradict"),
        ({"kind": "pictures"}, "kind is 'pictures'; accepted"),
        ({"layout": "CHW"}, "layout is 'CHW'; accepted"),
        ({"value_range": np.array([0.0, 1.0])}, "value_range"),
        ({"size": np.array([1, 2, 3])}, r"size has dtype int64 and shape \(3,\)"),
        ({"counts": np.full(len(_COUNTS), -1)}, "counts contradict"),
        ({"counts": {"images": 0}}, "counts contradict"),
        ({"counts": {"measured": 0}}, "counts contradict"),
        ({"counts": {"gray_2": 33}}, "counts contradict"),
        ({"counts": {"gray_images": 3}}, "counts contradict"),
        ({"sums": {3: -1}}, "negative"),
        ({"sums": {14: -1}}, "negative"),
        ({"sums": {17: -1}}, "negative"),
        ({"moments_only": "x"}, "moments_only has dtype <U1"),
        ({"value_range": np.zeros(2**20)}, r"value_range has .* shape \(1048576,\)"),
        ({"value_range": np.array(["0", "1"])}, "value_range has dtype <U1"),
        ({"counts": {"images": 2**62}}, "counts contradict"),
        ({"counts": {"near_low": 2**62}}, "counts contradict"),
        ({"counts": {"clipped_high": 97}}, "counts contradict"),
        ({"counts": {"gray_0": 3, "gray_1": 2, "gray_2": 4}}, "counts contradict"),
        ({"sums": {4: 2**63 - 1}}, "limb"),
        ({"sums": {(4, 7): 2**63 - 1}}, "limb"),
        ({"sums": {(2, 3): 255 * 32 + 1}}, "variance would be negative"),
        ({"sums": {(2, 3): 0}}, "of no bytes"),
        ({"sums": {(3, 3): 255 * 255 * 32}}, "of no bytes"),
        ({"sums": {(9, 3): 255 * 255 * 32}}, "variance would be negative"),
        ({"sums": {(4, 3): 255 * 255 * 32}}, "correlation would be above 1"),
        ({"sums": {(15, 3): 1025}}, "no colours are so far"),
        ({"sums": {(17, 3): 512 * 32 + 1}}, "no colours are so far"),
        ({"size": np.array([0, 5]), "positions": np.zeros((3, 0, 5), np.int64)}, "positions contradict"),
        ({"size": np.array([0, 0])}, "size"),
        ({"positions": np.full((3, 4, 4), 511)}, "positions contradict"),
        ({"positions": np.full((3, 4, 4), -1)}, "positions contradict"),
        ({"extremes": np.array([0.0, 256.0])}, "extremes"),
        ({"extremes": np.array([0.0, np.nan])}, "extremes"),
        ({"extremes": np.array([-np.inf, 3.0])}, "extremes"),
        ({"extremes": np.array([200.0, 100.0])}, "extremes"),
        ({"extremes": np.array([np.inf, -np.inf])}, "extremes"),
    ],
)
def test_wrong_state_files(rng, tmp_path, changes, text):
    state = stats_of(rng.integers(0, 256, (2, 3, 4, 4), dtype=np.uint8)).state()
    for name, change in changes.items():
        if isinstance(change, dict):  # a few rows of many
            state[name] = state[name].copy()
            for row, value in change.items():
                state[name][_COUNTS.index(row) if name == "counts" else row] = value
        else:
            state[name] = change
    np.savez(tmp_path / "state.npz", **state)
    with pytest.raises(ValueError, match=f"state.npz can't be read as ChromaStats: .*{text}"):
        gch.ChromaStats.load(tmp_path / "state.npz")


@pytest.mark.parametrize("scale", [1e-30, 1e-9, 1.0, 1e9, 1e40, 1e200])
@pytest.mark.parametrize("kind", ["noise", "flat", "one channel", "apart", "far", "some not finite"])
def test_every_state_of_floats_is_read_back(rng, scale, kind):
    """Rounding, and values held at the largest, are no contradictions."""
    images = rng.random((5, 3, 9, 7))
    if kind == "flat":
        images[:] = 1 / 3
    elif kind == "one channel":
        images[:] = images[:, :1]
    elif kind == "apart":
        images *= 10.0 ** np.arange(-8, 12, 4)[:, np.newaxis, np.newaxis, np.newaxis]
    elif kind == "far":
        images += 1e6
    elif kind == "some not finite":
        images[1, 2] = np.nan
        images[2, 1, 3, 3] = np.inf
    stats = stats_of(scale * images, value_range=(0, 1))
    assert gch.ChromaStats.from_state((stats + stats).state()) == stats + stats
    lean = stats_of(scale * images, value_range=(0, 1), moments_only=True)
    assert gch.ChromaStats.from_state(lean.state()) == lean


@pytest.mark.parametrize("kind", ["noise", "black", "white", "gray", "two levels", "one pixel"])
@pytest.mark.parametrize("moments_only", [False, True])
def test_every_state_of_bytes_is_read_back(rng, kind, moments_only):
    levels = rng.integers(0, 256, (5, 3, 9, 7), dtype=np.uint8)
    levels = {
        "noise": levels,
        "black": 0 * levels,
        "white": 0 * levels + np.uint8(255),
        "gray": np.repeat(levels[:, :1], 3, axis=1),
        "two levels": levels // 128 * np.uint8(255),
        "one pixel": levels[..., :1, :1],
    }[kind]
    stats = stats_of(levels, moments_only=moments_only)
    assert gch.ChromaStats.from_state((stats + stats).state()) == stats + stats


def test_a_header_that_promises_too_much_is_no_reason_to_take_memory(rng, tmp_path):
    path = tmp_path / "state.npz"
    state = stats_of(rng.integers(0, 256, (2, 3, 4, 4), dtype=np.uint8)).state()
    np.savez(path, **state)
    with zipfile.ZipFile(path, "a") as archive, archive.open("sums2.npy", "w") as part:
        np.lib.format.write_array_header_1_0(part, {"descr": "<f8", "fortran_order": False, "shape": (10**13,)})
    with pytest.raises(ValueError, match=r"state\.npz can't be read as ChromaStats: array 'sums2': .* 80000000000000 "):
        gch.ChromaStats.load(path)


def test_images_without_a_finite_value_are_saved_and_loaded(tmp_path):
    stats = stats_of(np.full((1, 3, 4, 4), np.nan), value_range=(0, 1))
    stats.save(tmp_path / "state.npz")
    assert gch.ChromaStats.load(tmp_path / "state.npz") == stats


def test_save_leaves_no_debris(rng, tmp_path, monkeypatch):
    path = tmp_path / "state.npz"
    path.write_text("what stood there")

    def full(*_, **__):
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="no space"):
        gch.ChromaStats().save(path)
    assert path.read_text() == "what stood there"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_state_given_out_stays_as_it_was(rng):
    levels = rng.integers(0, 256, (2, 3, 4, 4), dtype=np.uint8)
    stats, again = stats_of(levels), stats_of(levels)
    state, twin = stats.state(), copy.copy(stats)
    gch.ChromaStats.from_state(state).update(levels)
    twin.update(levels)
    assert stats == again
    stats.update(levels)
    assert gch.ChromaStats.from_state(state) == again


def test_a_state_given_out_or_taken_is_not_the_own(rng):
    levels = rng.integers(0, 256, (2, 3, 4, 4), dtype=np.uint8)
    stats, again = stats_of(levels), stats_of(levels)
    state = stats.state()
    taken = gch.ChromaStats.from_state(state)
    for name in ("counts", "sums", "extremes", "positions"):
        state[name] += 1
    assert stats == taken == again


def test_counts_do_not_run_over(rng):
    stats = stats_of(rng.integers(0, 256, (4, 3, 8, 8), dtype=np.uint8))
    for _ in range(45):
        stats.merge(stats)
    assert stats.count("pixels") == 2**53
    with pytest.raises(ValueError, match="other has too many pixels to add"):
        stats.merge(stats)
    assert stats.count("pixels") == 2**53


def test_sums_at_positions_do_not_run_over():
    stats = stats_of(np.ones((2, 3, 4, 4)), value_range=(0, 1))
    stats._positions = np.full((3, 4, 4), 2**62)
    stats._counts[_COUNTS.index("position_images")] = 2**23
    with pytest.raises(ValueError, match="sums would overflow"):
        stats.merge(stats)
    assert stats.count("images") == 2


@pytest.mark.scenario("interrupts")
def test_an_interrupt_finds_all_of_a_merge_or_nothing(rng):
    levels = rng.integers(0, 256, (2, 3, 4, 4), dtype=np.uint8)
    one, two = stats_of(levels[0]), stats_of(levels[1])
    line, ended = 0, False
    while not ended:
        line, stats, passed = line + 1, one + gch.ChromaStats(), 0

        def trace(frame, event, _, stop=line):
            nonlocal passed
            passed += frame.f_code.co_filename.endswith("stats.py")
            if passed == stop:
                raise KeyboardInterrupt
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            stats.merge(two)
            ended = True
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(before)
        assert stats == one or stats == one + two
    assert line > 20
