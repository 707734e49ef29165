"""Train a network: one loop that reads from top to bottom (Lightning Fabric gives device and precision)."""

from __future__ import annotations

import dataclasses
import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric

from zooferry import run_folder
from zooferry.augmentation import augmented
from zooferry.averaging import WeightAverage
from zooferry.errors import ZooferryError
from zooferry.files import write_atomically
from zooferry.methods import Method
from zooferry.patches import PatchSampler
from zooferry.settings import Settings

VALIDATION_BATCHES = 4
SECONDS_BETWEEN_LINES = 5.0  # of progress; 0 tells of every validation
Say = Callable[[str], None]


@dataclass
class Progress:
    """Where a run stands; all of it is kept in last.pt."""

    step: int = 0
    elapsed: float = 0.0
    best_loss: float = math.inf
    best_step: int = 0
    running_loss: float = 0.0
    running_count: int = 0
    finished: str = ""
    history: list[dict[str, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Data:
    """Normalised patches to draw from; `validation` is None where there is too little data for one."""

    training: PatchSampler
    validation: PatchSampler | None


def train(  # the loop is one function on purpose: it is read from top to bottom
    folder: Path,
    method: Method,
    network: torch.nn.Module,
    *,
    data: Data,
    settings: Settings,
    seconds: float | None,
    say: Say,
) -> Progress:
    """Train until the steps, the time budget or the patience end, or until Ctrl-C.

    Parameters
    ----------
    folder : Path
        Run folder; best.pt, last.pt and history.csv are written there at every validation, loss.png at the end.
    method : Method
        Gives the loss.
    network : Module
        Fresh; if the folder holds last.pt, training goes on from it.
    data : Data
    settings : Settings
    seconds : float, optional
        Wall-time budget of the whole run, all its parts together.
    say : callable
        Gets a line of progress every few seconds.

    Returns
    -------
    Progress
        ``finished`` is "" where training was interrupted and can be resumed.
    """
    fabric = Fabric(accelerator="auto", devices=1, precision=settings.precision)  # type: ignore[arg-type]
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, betas=(0.9, 0.99)
    )
    vary = getattr(method, "augment", augmented)  # the method's own, or what suits restoration
    progress, kept = _restore(folder, network, optimizer, rng)
    model, optimizer = fabric.setup(network, optimizer)
    average = WeightAverage(network, float(getattr(settings, "averaging", 0.0)), kept)
    before = progress.elapsed
    started = told = time.monotonic()
    with _interruptible() as interrupted:
        while not progress.finished and not interrupted.is_set():
            rate = learning_rate(settings, progress, seconds)
            arrays = vary(data.training.draw(settings.patches_per_step, rng), settings, rng)
            loss = method.loss(model, arrays, settings, rng)
            _update(fabric, model, optimizer, loss, rate, settings.clip)
            progress.running_loss += float(loss.detach())
            progress.running_count += 1
            progress.step += 1
            average.update(network, progress.step)
            progress.elapsed = before + time.monotonic() - started
            ended = _end(progress, settings, seconds)
            if ended or progress.step % settings.validate_every == 0:
                better = _validate(model, method, data, settings, progress, rate)
                progress.finished = ended or _patience_over(progress, settings)
                if better:
                    _save_weights(folder / "best.pt", network)
                _save_state(folder, network, optimizer, progress, rng, average)
                run_folder.write_history(folder, progress.history)
                if progress.finished or time.monotonic() - told >= SECONDS_BETWEEN_LINES:
                    say(_line(progress, settings, seconds))
                    told = time.monotonic()
                _require_finite(progress)
    if not progress.finished:
        _save_state(folder, network, optimizer, progress, rng, average)
        if not (folder / "best.pt").exists():
            _save_weights(folder / "best.pt", network)
    run_folder.write_loss_plot(folder, progress.history)
    return progress


def _update(
    fabric: Fabric, model: torch.nn.Module, optimizer: Any, loss: torch.Tensor, rate: float, clip: float
) -> None:
    """One step along the gradients of the loss."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    fabric.backward(loss)
    if clip:
        fabric.clip_gradients(model, optimizer, max_norm=clip, error_if_nonfinite=False)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def _require_finite(progress: Progress) -> None:
    if not math.isfinite(progress.history[-1]["training_loss"]):
        raise ZooferryError("the training loss is not finite; lower the rate (--set learning_rate=...)")


def learning_rate(settings: Settings, progress: Progress, seconds: float | None) -> float:
    """Linear warm-up over `warmup` steps, then a half cosine over the run down to 1 % (Loshchilov 2017, eq. 5)."""
    warm = min(1.0, (progress.step + 1) / max(1, settings.warmup))
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, fraction_done(settings, progress, seconds))))
    return settings.learning_rate * warm * (0.01 + 0.99 * cosine)


def fraction_done(settings: Settings, progress: Progress, seconds: float | None) -> float:
    """Part of the run that is over, 0 to 1, by steps or by time, whichever is further."""
    by_steps = progress.step / settings.steps if settings.steps else 0.0
    return max(by_steps, progress.elapsed / seconds if seconds else 0.0)


def _end(progress: Progress, settings: Settings, seconds: float | None) -> str:
    if settings.steps and progress.step >= settings.steps:
        return f"all {settings.steps} steps done"
    if seconds and progress.elapsed >= seconds:
        return f"the time budget of {seconds:g} s is used"
    return ""


def _patience_over(progress: Progress, settings: Settings) -> str:
    waited = (progress.step - progress.best_step) / settings.validate_every
    if settings.patience and waited >= settings.patience:
        return f"no better validation for {settings.patience} validations"
    return ""


def _validate(
    model: torch.nn.Module, method: Method, data: Data, settings: Settings, progress: Progress, rate: float
) -> bool:
    """Add a row to the history; the validation patches and their noise are the same every time."""
    training_loss = progress.running_loss / max(1, progress.running_count)
    progress.running_loss, progress.running_count = 0.0, 0
    loss = training_loss
    if data.validation is not None:
        rng = np.random.default_rng(settings.seed + 1)
        model.eval()
        with torch.no_grad():
            batches = [data.validation.draw(settings.patches_per_step, rng) for _ in range(VALIDATION_BATCHES)]
            loss = float(np.mean([float(method.loss(model, b, settings, rng)) for b in batches]))
        model.train()
    row = {"step": progress.step, "seconds": round(progress.elapsed, 2), "learning_rate": rate}
    progress.history.append(row | {"training_loss": training_loss, "validation_loss": loss})
    better = loss < progress.best_loss
    if better:
        progress.best_loss, progress.best_step = loss, progress.step
    return better


def _line(progress: Progress, settings: Settings, seconds: float | None) -> str:
    done = fraction_done(settings, progress, seconds)
    left = progress.elapsed / done - progress.elapsed if done else 0.0
    row = progress.history[-1]
    best = "  best" if progress.best_step == progress.step else ""
    of = f" of {settings.steps}" if settings.steps else ""
    return (
        f"step {progress.step}{of}  training {row['training_loss']:.4f}  validation {row['validation_loss']:.4f}"
        f"  {clock(progress.elapsed)} gone, {clock(left)} left{best}"
    )


def clock(seconds: float) -> str:
    """Seconds as minutes and seconds, with hours where needed: 1:05, 2:00:07."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _save_weights(path: Path, network: torch.nn.Module) -> None:
    weights = {name: value.detach().cpu().contiguous().clone() for name, value in network.state_dict().items()}
    write_atomically(path, lambda temporary: torch.save(weights, temporary))


def _save_state(
    folder: Path,
    network: torch.nn.Module,
    optimizer: Any,
    progress: Progress,
    rng: np.random.Generator,
    average: WeightAverage,
) -> None:
    state = {
        "network": network.state_dict(),
        "average": average.weights,
        "optimizer": optimizer.state_dict(),
        "progress": json.dumps(dataclasses.asdict(progress)),
        "rng": json.dumps(rng.bit_generator.state),
        "torch_rng": torch.get_rng_state(),
    }
    write_atomically(folder / "last.pt", lambda temporary: torch.save(state, temporary))


def _restore(
    folder: Path, network: torch.nn.Module, optimizer: torch.optim.Optimizer, rng: np.random.Generator
) -> tuple[Progress, dict[str, torch.Tensor] | None]:
    """Where the run stands, and its averaged weights; those of an older run begin anew."""
    path = folder / "last.pt"
    if not path.exists():
        return Progress(), None
    state = torch.load(path, weights_only=True, map_location="cpu")
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    rng.bit_generator.state = json.loads(state["rng"])
    torch.set_rng_state(state["torch_rng"])
    return Progress(**json.loads(state["progress"])), state.get("average")


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """Ctrl-C (or a polite kill) sets the event, so that a step is never cut in two; a second one ends at once."""
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return

    def note(number: int, frame: Any) -> None:  # noqa: ARG001
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.set()

    former = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupted
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def patch_sides(settings: Settings, dims: int) -> tuple[int, ...]:
    """Patch sides (z), y, x in pixels."""
    return (settings.patch,) * 2 if dims == 2 else (settings.patch_z, settings.patch, settings.patch)
