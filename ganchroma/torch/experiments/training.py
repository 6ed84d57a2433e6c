"""One run: train, measure, stop and go on where it stopped."""

import contextlib
import json
import math
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, softplus

from ganchroma._arrays import check_flag, check_integer
from ganchroma._arrays import shown as as_shown
from ganchroma._files import check_path, write_bytes, write_text
from ganchroma._progress import progress
from ganchroma.runtime import threads
from ganchroma.stats import ChromaStats
from ganchroma.torch.experiments.config import Config
from ganchroma.torch.experiments.history import Gradient, History, Judgement
from ganchroma.torch.experiments.networks import LATENTS, discriminator, generator
from ganchroma.torch.experiments.photographs import crop_sets
from ganchroma.torch.learning import color_preference
from ganchroma.torch.monitor import ChromaMonitor, ColorCollapse
from ganchroma.torch.search import to_array
from ganchroma.torch.untouched import untouched

__all__ = ["check_folder", "run", "train"]

_POOL = 2048  # crops that batches are drawn from
_ASKED = 256  # other crops of the same photographs, that the discriminator is asked about
_OTHERS = 1_000_003  # added to the seed of their crops
_STATE, _RUN = "state.safetensors", "run.json"


def run(
    config: Config | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    save_every: int = 100,
    shown: bool = True,
    **changes: Any,
) -> History:
    """Train a small DCGAN on photographs and record its colour at every step.

    The same configuration gives the same run, to the bit on one machine: it works on one thread, whatever PyTorch is
    set to, and its random numbers are its own. PyTorch's settings and random states are as before afterwards.

    Parameters
    ----------
    config : Config, optional
    out : path, optional
        Folder for ``run.json`` and ``state.safetensors``, made if missing. A run that is there already is returned if
        complete or diverged, and otherwise goes on where it stopped.
    save_every : int
        Steps between two savings; the end and an interrupt save, too.
    shown : bool
        Whether a progress bar may appear.
    **changes
        Settings in place of the configuration's.

    Returns
    -------
    History
        Up to the interrupt if Ctrl-C was pressed: see `History.complete`. If the run diverged, up to where all was
        finite, with a RuntimeWarning: see `History.diverged`.

    Raises
    ------
    ImportError
        If a package is missing that the photographs, or saving, need.
    NotADirectoryError
        If `out` is a file.
    TypeError, ValueError
        If an argument has the wrong type or value; if `out` holds the run of another configuration or on other
        pictures, or files that can't be read.

    Examples
    --------
    >>> history = run(steps=2, batch=4, width=4)
    >>> history.complete, [record.step for record in history.records]
    (True, [0, 1, 2])
    """
    history = train(
        _settings(config, changes),
        None if out is None else check_folder(out, "out"),
        check_integer(save_every, "save_every", 1),
        shown=check_flag(shown, "shown"),
    )
    if history.divergence:
        warnings.warn(f"the run {history.divergence}; returned is what came before", RuntimeWarning, stacklevel=2)
    return history


def train(
    config: Config,
    folder: Path | None,
    save_every: int = 100,
    *,
    shown: bool = False,
    stopped: Callable[[], bool] | None = None,
) -> History:
    """`run`, of arguments that are as they should be; when `stopped` says so, it ends as by Ctrl-C."""
    if folder is not None:
        import_module("safetensors.torch")  # if it is missing, not only after hours
    with _alone(), _as_usual():
        training = _Training(config)
        if folder is not None:
            training.load(folder)
        if training.history.diverged is not None:
            return training.history  # it would do so again
        with _interrupts() as interrupted:
            for step in progress(range(training.history.steps, config.steps), config.describe(), shown=shown):
                training.step(step)
                if interrupted or training.history.diverged is not None or (stopped is not None and stopped()):
                    break
                if folder is not None and (step + 1) % save_every == 0:
                    training.save(folder)
            else:
                training.finish()
            if folder is not None:
                training.save(folder)
    return training.history


def _settings(config: Any, changes: dict[str, Any]) -> Config:
    if not isinstance(config, Config | None):
        raise TypeError(
            f"config must be a Config or None, got {as_shown(config)}; settings can be given by name: run(steps=100)"
        )
    names = [field.name for field in fields(Config)]
    unknown = [name for name in changes if name not in names]
    if unknown:
        raise TypeError(f"there is no setting {', '.join(map(repr, unknown))}; accepted: {', '.join(names)}")
    return replace(config or Config(), **changes)


def check_folder(path: Any, name: str) -> Path:
    """`path` as one of a folder that is there or can be made, or an error that names the argument."""
    folder = Path(check_path(path, name))
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{name}: {folder} is a file; accepted: a folder, which is made if missing")
    return folder


@contextlib.contextmanager
def _interrupts() -> Iterator[list[int]]:
    """A list that the first Ctrl-C puts its signal's number in, so that a step is never half done; the second raises.

    Only the main thread hears signals: elsewhere the list stays empty.
    """
    heard: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield heard
        return

    def hear(number: int, frame: object) -> None:
        if heard:
            raise KeyboardInterrupt
        heard.append(number)

    before = signal.signal(signal.SIGINT, hear)
    try:
        yield heard
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """On one thread, and without the monitor's warnings: gray is what some of these experiments are about."""
    count = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threads(1), warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
            warnings.simplefilter("ignore", ColorCollapse)
            yield
    finally:
        torch.set_num_threads(count)


@contextlib.contextmanager
def _as_usual() -> Iterator[None]:
    """float32 with gradients, also where the caller has chosen another way to compute."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with torch.inference_mode(False), torch.enable_grad(), torch.autocast("cpu", enabled=False):
            yield
    finally:
        torch.set_default_dtype(before)


class _Training:
    def __init__(self, config: Config) -> None:
        self.config = config
        torch.manual_seed(config.seed)
        self.generator = generator(config)
        self.discriminator = discriminator(config)
        weights = self.generator.parameters()
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            "generator": torch.optim.Adam(weights, config.lr, (0.5, 0.999))
            if config.optimizer == "adam"
            else torch.optim.SGD(weights, config.lr),
            "discriminator": torch.optim.Adam(self.discriminator.parameters(), config.discriminator_lr, (0.5, 0.999)),
        }
        self.random = torch.Generator().manual_seed(config.seed)
        sets = (_POOL, config.gray_share, config.seed), (_ASKED, 0.0, config.seed + _OTHERS)
        crops, checksum = crop_sets(config.photographs, sets)
        self.real, self.asked = (self._in_range(one) for one in crops)
        self.monitor = ChromaMonitor(head=self._head, value_range=self._range, limit=max(2, config.steps + 1))
        data = ChromaMonitor(value_range=self._range, images=_POOL).update(0, self.real)
        self.history = History(config, data=data, photographs=checksum)

    @property
    def _range(self) -> tuple[float, float]:
        return (-1.0, 1.0) if self.config.activation == "tanh" else (0.0, 1.0)

    def _in_range(self, pictures: Tensor) -> Tensor:
        low, high = self._range
        return low + (high - low) * pictures

    @property
    def _head(self) -> nn.Module:
        return self.generator.head

    def _latents(self) -> Tensor:
        return torch.randn(self.config.batch, LATENTS, generator=self.random)

    # -- one update of the generator -------------------------------------------------------------------------------

    def step(self, step: int) -> None:
        """Measure, then update; where something is no longer finite, say so and leave the generator as it is."""
        first = self._judgement(0) if step == 0 else None
        made = self.generator(self._latents())
        if not _finite(made) or (step == 0 and first is None):
            self.history.diverged = step
            return
        if first is not None:
            self.history.judgements.append(first)
        record = self.monitor.update(step, made, head=self._head)
        for again in range(self.config.discriminator_steps):
            if again:
                with torch.no_grad():
                    self._train_discriminator(self.generator(self._latents()))
            else:
                self._train_discriminator(made.detach())
        self.optimizers["generator"].zero_grad()
        softplus(-self.discriminator(made)).mean().backward()
        gradient = self._gradient(step)
        self.history.records.append(record)
        if not math.isfinite(gradient.norm):
            self.history.diverged = step
            return
        self.optimizers["generator"].step()
        self.history.gradients.append(gradient)

    def _train_discriminator(self, made: Tensor) -> None:
        chosen = torch.randint(len(self.real), (self.config.batch,), generator=self.random)
        if self.config.discriminator_lr == 0:
            return
        with torch.enable_grad():
            self.optimizers["discriminator"].zero_grad()
            scores = self.discriminator(self.real[chosen]), self.discriminator(made)
            (softplus(-scores[0]).mean() + softplus(scores[1]).mean()).backward()
            self.optimizers["discriminator"].step()

    def _gradient(self, step: int) -> Gradient:
        weight = next(parameter for parameter in self._head.parameters() if parameter.dim() == 4)
        assert weight.grad is not None
        filters = weight.grad.transpose(0, 1).flatten(1).double()
        cosines = [cosine_similarity(filters[i], filters[j], dim=0) for i, j in ((0, 1), (0, 2), (1, 2))]
        return Gradient(step, float(filters.norm()), float(torch.stack(cosines).mean()))

    def finish(self) -> None:
        """The record after the last update, and what the discriminator has learnt of colour."""
        if self.history.complete:
            return
        with torch.no_grad(), untouched(self.generator):
            made = self.generator(self._latents())
        states = [*self.generator.state_dict().values(), *self.discriminator.state_dict().values()]
        judgement = self._judgement(self.config.steps) if all(map(_finite, [made, *states])) else None
        if judgement is None:
            self.history.diverged = self.config.steps
            return
        self.history.records.append(self.monitor.update(self.config.steps, made, head=self._head))
        self.history.judgements.append(judgement)

    def _judgement(self, step: int) -> Judgement | None:
        """None where the loss has no finite gradient."""
        with untouched(self.generator, self.discriminator, seed=self.config.seed):
            made = self.generator(torch.randn(self.config.batch, LATENTS)).detach().requires_grad_()
            (gradient,) = torch.autograd.grad(softplus(-self.discriminator(made)).mean(), made)
        if not _finite(gradient):
            return None
        numbers = to_array(gradient)
        most = float(np.abs(numbers).max()) or 1.0
        share = ChromaStats((-most, most)).update(numbers).summary().within.achromatic_share
        with untouched(self.discriminator):
            self.discriminator.eval()
            return Judgement(step, color_preference(self.discriminator, self.asked), share)

    # -- files -------------------------------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """Everything in one file, so that what is read was written together; and the history as text beside it."""
        from safetensors.torch import save

        folder.mkdir(parents=True, exist_ok=True)
        text = self.history.to_json()
        write_bytes(folder / _STATE, save(self._tensors(), {"run": text}))
        write_text(folder / _RUN, text)

    def load(self, folder: Path) -> None:
        """Go on from what `save` wrote, if it did."""
        path = folder / _STATE
        if not path.exists():
            return
        from safetensors import SafetensorError, safe_open

        damaged = (OSError, SafetensorError, ValueError, LookupError, TypeError, AttributeError, RuntimeError)
        try:
            with safe_open(path, "pt") as file:
                history = History.from_dict(json.loads(file.metadata()["run"]))
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no mapping
        except damaged as error:
            raise _unreadable(path, error) from error
        if history.config != self.config:
            raise ValueError(
                f"out: {folder} holds the run of other settings ({history.config.describe()}); asked for: "
                f"{self.config.describe()}"
            )
        if history.photographs not in (None, self.history.photographs):
            raise ValueError(
                f"out: {folder} holds a run on other pictures: those in {self.config.photographs!r} have changed "
                "since. Bring them back, or choose another folder for the run on the new ones"
            )
        try:
            history.check_steps()
            self._put_back(tensors, history.steps > 0)
        except damaged as error:
            raise _unreadable(path, error) from error
        self.history = history

    def _tensors(self) -> dict[str, Tensor]:
        found = {"random": self.random.get_state()}
        for part, network in (("generator", self.generator), ("discriminator", self.discriminator)):
            found |= {f"{part}.{name}": value.contiguous() for name, value in network.state_dict().items()}
            for place, values in self.optimizers[part].state_dict()["state"].items():
                found |= {
                    f"optimizer.{part}.{place}.{name}": value
                    for name, value in values.items()
                    if isinstance(value, Tensor)
                }
        return found

    def _put_back(self, found: dict[str, Tensor], stepped: bool) -> None:
        """An error of any kind, if something is missing or does not fit."""
        self.random.set_state(found["random"])
        for part, network in (("generator", self.generator), ("discriminator", self.discriminator)):
            network.load_state_dict(_under(found, f"{part}."))
            state: dict[int, dict[str, Tensor]] = {}
            for name, value in _under(found, f"optimizer.{part}.").items():
                place, _, entry = name.partition(".")
                state.setdefault(int(place), {})[entry] = value
            groups = self.optimizers[part].state_dict()["param_groups"]
            self._check_state(part, state, stepped)
            self.optimizers[part].load_state_dict({"state": state, "param_groups": groups})

    def _check_state(self, part: str, state: dict[int, dict[str, Tensor]], stepped: bool) -> None:
        """PyTorch takes any, and begins anew where there is none."""
        optimizer = self.optimizers[part]
        frozen = part == "discriminator" and self.config.discriminator_lr == 0
        if not stepped or frozen or not isinstance(optimizer, torch.optim.Adam):
            return
        for place, parameter in enumerate(optimizer.param_groups[0]["params"]):
            shapes = [state[place][name].shape for name in ("step", "exp_avg", "exp_avg_sq")]
            if shapes != [torch.Size(), parameter.shape, parameter.shape]:
                raise ValueError(f"the state of the {part}'s Adam does not fit its weights")


def _unreadable(path: Path, error: Exception) -> ValueError:
    what = f"no {error}" if isinstance(error, KeyError) else str(error).partition("\n")[0]
    return ValueError(f"{path} can't be read ({what}): delete it to start anew")


def _finite(tensor: Tensor) -> bool:
    return bool(tensor.isfinite().all())


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
