"""The diagnosis on cases whose truth is known by construction, of architectures on which nothing was set."""

import numpy as np
import pytest

pytest.importorskip("skimage")
from bed import KINDS, Subject, louder, sets, variants
from networks import ARCHITECTURES
from score import Score, page, score

import ganchroma as gch
from ganchroma.diagnosis.causes import CAUSES

pytestmark = pytest.mark.timeout(1800)  # hundreds of cases are scored once for several tests, beside others


def asked(found: Score) -> None:
    """What is asked of a half that was not looked at before."""
    assert found.first_cause().value >= 0.97
    assert found.misjudged() == []
    assert found.reported_from_images().value >= 0.95
    assert found.gray(True).value >= 0.98
    assert found.gray(False).value >= 0.98
    exact = [share.value for share in found.exact_sets().values()]
    assert exact[:2] == [1, 1]
    assert exact[2] >= 0.95
    assert exact[3] >= 0.85


@pytest.fixture(scope="module")
def found():
    return score("unseen", seeds=1, shown=False)


def test_right_on_architectures_and_seeds_never_seen(found):
    asked(found)
    assert len(found.singles) > 300


def test_confidence_means_what_it_says(found):
    """Within .15 of how often it was so, of a few dozen cases and more (two standard deviations of 40 are .15)."""
    for claimed, share in found.calibration():
        if share.count >= 40:
            assert abs(claimed - share.value) < 0.15, (claimed, share)


def test_the_page_says_what_was_scored(found):
    text = page(found, "unseen")
    assert str(found.first_cause()) in text
    assert "| healthy |" in text


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_whole_unseen_half():
    found = score("unseen", shown=False)
    asked(found)
    assert len(found.singles) + len(found.together) >= 500


def test_the_halves_share_no_architecture():
    known, unseen = (
        {(a.kernel, a.stride, a.slope, a.initialiser) for a in ARCHITECTURES if a.half == half}
        for half in ("known", "unseen")
    )
    assert not known & unseen
    heads: dict[bytes, str] = {}  # by what is left of the filters when their loudness is taken away
    for architecture in ARCHITECTURES:
        weight = Subject(architecture, 0).head.weight
        head = np.round(weight / np.linalg.norm(weight), 4).tobytes()
        assert heads.setdefault(head, architecture.half) == architecture.half, architecture.name


def test_every_kind_of_cause_has_cases():
    assert {cause.kind for cause in CAUSES} == set(KINDS.values())
    for half in ("known", "unseen"):
        seen = {fault for a in ARCHITECTURES if a.half == half for fault, _ in variants(a)}
        assert seen >= set(KINDS) - ({"spectral_norm_eval"} if half == "known" else set())
    assert len({case.faults for case in sets("known", 1)}) == 26


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda a: a.name)
def test_subjects_are_sound_by_their_own_numbers(architecture):
    """Truth does not come from the diagnosis: contrast, share and ends of the range, measured here."""
    subject = Subject(architecture, 5)
    low, high = subject.value_range
    image = (subject.head(subject.features) - low) / (high - low)
    inside = image - image.mean(axis=(2, 3), keepdims=True)
    assert inside.std() * 255 > 12
    assert np.mean((image < 0.01) | (image > 0.99)) < 0.2
    assert np.square(inside.sum(axis=1)).mean() / 3 < 0.95 * np.square(inside).sum(axis=1).mean()


def test_a_stretched_display_hides_amplitude():
    """min-max display of an image of one level: nothing is wrong on the screen, and both faults are named."""
    subject = Subject(ARCHITECTURES[0], 3)
    broken = subject.broken(frozenset(["small_gain"]), 1.0)
    image = broken.layer(broken.features)
    for axis in (None, (1, 2, 3)):
        least, most = (f(axis=axis, keepdims=True) for f in (image.min, image.max))
        shown = np.rint(255 * (image - least) / (most - least)).astype(np.uint8)
        answer = gch.diagnose(shown, layer=broken.layer, features=broken.features)
        assert {cause.name for cause in answer.causes} == {"min_max_display", "flat_amplitude"}
        assert answer.after.display.healthy
        alone = gch.diagnose(shown)
        assert [cause.name for cause in alone.causes] == ["healthy"]
        assert axis is None or any("stretches contrast" in note for note in alone.notes)
    layer = louder(subject.head, subject.features, 12.0)
    sound = layer(subject.features)
    shown = np.rint(255 * (sound - sound.min()) / np.ptp(sound)).astype(np.uint8)
    answer = gch.diagnose(shown, layer=layer, features=subject.features)
    assert [cause.name for cause in answer.causes] == ["healthy"]
    assert any("stretched" in note for note in answer.notes)
