"""Every way in which an untrained generator's colour gets lost, or only seems to, each diagnosed from real arrays."""

import errno
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganchroma import init
from ganchroma._files import TEXT, check_path, check_result, write_text
from ganchroma._progress import progress
from ganchroma.demo.generator import Generator
from ganchroma.diagnosis import Diagnosis, ModuleFacts, diagnose
from ganchroma.diagnosis.report import SHEET, Book
from ganchroma.diagnosis.words import number
from ganchroma.layer import OutputLayer
from ganchroma.spectral import SpectralNorm

Array = NDArray[Any]

IMAGES = 64
SIDE = 256
PHOTOS = ("astronaut", "coffee", "chelsea", "rocket")
TITLE = "Where did the colour go?"


@dataclass(frozen=True)
class Setting:
    """What the cases share; each part is made when the first case asks for it."""

    seed: int

    def random(self, stream: int) -> np.random.Generator:
        """Streams that stay the same whichever cases run."""
        return np.random.default_rng([self.seed, stream])

    def generator(self) -> Generator:
        """The same weights each time, with BatchNorm's statistics untouched."""
        return Generator(rng=self.random(1))

    @cached_property
    def latents(self) -> Array:
        return self.random(2).standard_normal((IMAGES, 100), dtype=np.float32)

    @cached_property
    def head(self) -> OutputLayer:
        return self.generator().head

    @cached_property
    def features(self) -> Array:
        return self.generator().features(self.latents, training=True)

    @cached_property
    def article_features(self) -> Array:
        """The generator's 128-channel stage at the image's size, for the article's 3x3 head."""
        stage = self.generator().features(self.latents, training=True, stage=3)
        return stage.repeat(4, axis=2).repeat(4, axis=3)

    @cached_property
    def article_default(self) -> tuple[Array, Array]:
        """Weight and bias of the article's head as PyTorch draws them."""
        weight, bias = init.conv_default((3, 128, 3, 3), rng=self.random(3))
        assert bias is not None  # it is drawn unless declined
        return weight, bias


def dcgan(setting: Setting) -> Diagnosis:
    return diagnose(
        layer=setting.head, features=setting.features, images=setting.head(setting.features), value_range=(-1, 1)
    )


def dcgan_eval(setting: Setting) -> Diagnosis:
    features = setting.generator().features(setting.latents, training=False)
    facts = ModuleFacts(batchnorm="eval", untouched=True, rerun=lambda put_right: setting.features)
    head = setting.head
    return diagnose(head(features), layer=head, features=features, value_range=(-1, 1), module=facts)


def dcgan_sigmoid(setting: Setting) -> Diagnosis:
    head = setting.head.replace(activation="sigmoid")
    return diagnose(head(setting.features), layer=head, features=setting.features, value_range=(0, 1))


def article(setting: Setting, weight: Array, bias: Array) -> Diagnosis:
    head = OutputLayer(weight, bias, padding=1, activation="tanh")
    features = setting.article_features
    return diagnose(head(features), layer=head, features=features, value_range=(-1, 1))


def article_ones(setting: Setting) -> Diagnosis:
    weight, bias = setting.article_default
    return article(setting, np.ones_like(weight), bias)


def article_copied(setting: Setting) -> Diagnosis:
    weight, bias = setting.article_default
    return article(setting, np.repeat(weight[:1], 3, axis=0), np.zeros_like(bias))


def article_default(setting: Setting) -> Diagnosis:
    return article(setting, *setting.article_default)


def article_xavier(setting: Setting) -> Diagnosis:
    weight, bias = setting.article_default
    return article(setting, init.xavier_uniform(weight.shape, rng=setting.random(4)), bias)


def article_kaiming(setting: Setting) -> Diagnosis:
    weight, bias = setting.article_default
    return article(setting, init.kaiming_uniform(weight.shape, rng=setting.random(5)), bias)


def article_spectral(setting: Setting, flavor: str) -> Diagnosis:
    weight, bias = setting.article_default
    normed = SpectralNorm(weight, flavor=flavor, rng=setting.random(6))
    return article(setting, normed.weight(training=True), bias)


def rank_one(setting: Setting) -> Diagnosis:
    """One pattern, times 64 coefficients: what a collapsed network hands to a 1x1 head."""
    coefficients = setting.random(7).standard_normal((64, 1, 1), dtype=np.float32)
    features = setting.features[:, :1] * coefficients
    head = OutputLayer(*init.conv_default((3, 64, 1, 1), rng=setting.random(8)), activation="tanh")
    return diagnose(head(features), layer=head, features=features, value_range=(-1, 1))


def one_channel(setting: Setting) -> Diagnosis:
    shown = setting.head(setting.features)[:, :1].repeat(3, axis=1)
    return diagnose(shown, layer=setting.head, features=setting.features, value_range=(-1, 1))


def reshaped(setting: Setting) -> Diagnosis:
    photo = photograph(PHOTOS[0])
    return diagnose(photo.transpose(2, 0, 1).reshape(photo.shape), layout="NHWC")


def photos(setting: Setting) -> Diagnosis:
    return diagnose(np.stack([photograph(name) for name in PHOTOS]), layout="NHWC")


# name -> (what it is, how it is made)
CASES: dict[str, tuple[str, Callable[[Setting], Diagnosis]]] = {
    "dcgan": ("The PyTorch examples' DCGAN, untrained, BatchNorm in training mode", dcgan),
    "dcgan-eval": ("The same generator in evaluation mode before any training", dcgan_eval),
    "dcgan-sigmoid": ("The same generator with sigmoid in place of tanh", dcgan_sigmoid),
    "article-1-ones": ("A 3x3 head whose weights are all 1", article_ones),
    "article-1-copied": ("A 3x3 head with one random filter copied three times", article_copied),
    "article-2-default": (
        "A 3x3 head as PyTorch draws it: three different filters of one distribution",
        article_default,
    ),
    "article-2-xavier": ("The same head drawn by xavier_uniform", article_xavier),
    "article-2-kaiming": ("The same head drawn by kaiming_uniform", article_kaiming),
    "article-3-spectral-norm-legacy": (
        "article-2-default's filters under torch.nn.utils.spectral_norm",
        lambda setting: article_spectral(setting, "legacy"),
    ),
    "article-3-spectral-norm-parametrization": (
        "article-2-default's filters under torch.nn.utils.parametrizations.spectral_norm",
        lambda setting: article_spectral(setting, "parametrization"),
    ),
    "rank-one": ("Collapsed features, one pattern times 64 numbers, under a 1x1 head", rank_one),
    "one-channel": ("The pictures of dcgan with channel 0 drawn three times", one_channel),
    "reshaped": ("A photograph, (3, H, W) reshaped to (H, W, 3) where it had to be transposed", reshaped),
    "photos": ("Four photographs, to compare with", photos),
}


def photograph(name: str) -> NDArray[np.uint8]:
    """The middle of a photograph that comes with scikit-image, (256, 256, 3): its own pixels, none interpolated.

    Raises
    ------
    ImportError
        If scikit-image is missing.
    """
    try:
        from skimage import data
    except ImportError as error:
        raise ImportError('the photographs need scikit-image: pip install "ganchroma[demo]"') from error
    photo = getattr(data, name)()
    side = min(photo.shape[:2])
    top, left = (photo.shape[0] - side) // 2, (photo.shape[1] - side) // 2
    chosen = np.arange(SIDE) * side // SIDE
    return np.ascontiguousarray(photo[top : top + side, left : left + side][np.ix_(chosen, chosen)])


def run(seed: int = 0, *, out: str | os.PathLike[str] | None = None, shown: bool = True) -> dict[str, Any]:
    """Diagnose every case; write ``report.html``, ``sheet.png`` and ``report.json``.

    Parameters
    ----------
    seed : int
        Of the generator's weights and latents.
    out : path, optional
        Folder for the three files, made if missing; nothing is written without it.
    shown : bool
        Whether a progress bar may appear.

    Returns
    -------
    dict
        What ``report.json`` holds: ``version``, ``seed``, ``cases``.

    Raises
    ------
    ImportError
        If `out` is given and matplotlib, which draws the sheet, is missing.
    OSError, ValueError
        If `out` is no folder and none can be made there, or something else has the name of one of the files.
    """
    folder = Path(check_path(out, "out")) if out is not None else None
    if folder is not None:
        _make_folder(folder)
        for name, kind in (("report.json", TEXT), ("report.html", TEXT), ("sheet.png", SHEET)):
            check_result(folder / name, "out", kind)
    setting, book = Setting(seed), Book(TITLE)
    for name, (about, make) in progress(list(CASES.items()), "demo", shown=shown):
        try:
            book.add(Diagnosis(make(setting).answer, name, about))
        except ImportError as error:
            book.add_missing(name, about, str(error))
    report = book.to_dict(seed=seed)
    if folder is not None:
        write_text(folder / "report.json", json.dumps(report, indent=2, allow_nan=False) + "\n")
        book.save_html(folder / "report.html")
        book.save_sheet(folder / "sheet.png")
    return report


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, "is not a folder", str(folder)) from None


def table(report: dict[str, Any]) -> str:
    """The report's answers as text, a line for each case; the achromatic share before the activation and on display."""
    text = [
        _line("", "", "achromatic share", "", "", ""),
        _line("case", "std", "linear", "display", "chroma", "causes"),
    ]
    for case in report["cases"]:
        shares = {stage["name"]: stage.get("achromatic_share") for stage in case["stages"]}
        display = case["display"] or {}
        causes = ", ".join(cause["name"] for cause in case["causes"]) or case["answer"]
        text.append(
            _line(
                case["name"],
                number(display.get("std_levels"), 1),
                number(shares.get("linear"), 3),
                number(shares.get("display"), 3),
                number(display.get("chroma"), 1),
                causes,
            )
        )
    return "\n".join(text)


def _line(case: str, std: str, linear: str, display: str, chroma: str, causes: str) -> str:
    return f"{case:39}{std:>6}{linear:>8}{display:>8}{chroma:>7}  {causes}".rstrip()
