"""Start and resume training runs: what ``zooferry train`` does."""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zooferry import __version__, axes, foreign, methods, run_folder, transfer
from zooferry.architectures import name_of
from zooferry.denoisers import in_parts, put_in_front, scaled_like_parent
from zooferry.errors import ZooferryError
from zooferry.files import read_json, write_json
from zooferry.images import read_image, write_image
from zooferry.matching import matching_of
from zooferry.methods import outputs
from zooferry.on_the_fly import with_degraded
from zooferry.prediction import predict_outputs
from zooferry.recalibration import with_recalibrated_scale
from zooferry.segmentation_training import choose_thresholds, learnt_targets
from zooferry.settings import Settings, build_settings, target_factors, with_batch
from zooferry.synthetic import draw_data, require_one_source
from zooferry.trained import open_run
from zooferry.training import Data, Progress, patch_sides, train
from zooferry.training_data import Partners, RawData, RawSample, prepare, read_training_data, resumed_like, split
from zooferry.training_domain import training_domain

Say = Callable[[str], None]
EXAMPLE_SIDE = {2: 256, 3: 128}
EXAMPLE_DEPTH = 32


def train_method(
    name: str,
    out: Path,
    *,
    images: Path | None,
    targets: Path | None,
    values: Mapping[str, Any],
    seconds: float | None,
    resume: bool,
    say: Say,
) -> Progress:
    """Train a method on a folder of images; see ``zooferry train``.

    Parameters
    ----------
    name : str
        Method, for example "n2v".
    out : Path
        Run folder; must not exist unless `resume`.
    images, targets : Path, optional
        Folders of TIFFs; no images where the settings say what to draw. For a method of
        segmentation the targets are label images.
    values : mapping
        Settings that differ from the defaults.
    seconds : float, optional
        Wall-time budget of the whole run.
    resume : bool
        Go on with the run in `out`.
    say : callable
        Gets the progress line by line.

    Raises
    ------
    ZooferryError
        Anything wrong with the data, the settings or the folder; then no folder is made.
    """
    return carry_out(Task(name, out, images, targets, values), seconds=seconds, resume=resume, say=say)


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """What is trained on what; the fields of :func:`train_method`, and two more.

    Attributes
    ----------
    parent : Parent, optional
        Whose weights the run starts from.
    held : tuple of str
        Names of the files that validate; () lets chance decide.
    denoiser : Parent, optional
        What restores the images before the segmentation sees them; both become one network.
    partly : bool
        See `training_data.Partners`.
    """

    name: str
    out: Path
    images: Path | None
    targets: Path | None
    values: Mapping[str, Any]
    parent: transfer.Parent | None = None
    held: tuple[str, ...] = ()
    denoiser: transfer.Parent | None = None
    partly: bool = False


def carry_out(task: Task, *, seconds: float | None, resume: bool, say: Say) -> Progress:
    """See :func:`train_method`."""
    task = in_parts(task)
    facts, out = methods.facts(task.name), task.out
    method = methods.load(task.name)
    values = task.values if resume or not task.parent else task.parent.settings(method.SETTINGS, task.values)
    settings = _settings(method.SETTINGS, out, values, seconds, resume)
    require_one_source(task.images, settings)
    _require_fitting(facts, task.targets, settings)
    raw = dataclasses.replace(_read(facts, task, settings), held=task.held)
    settings = _fitted(method, with_batch(settings, raw.dims), raw, say)
    raw = method.widened(settings, raw) if hasattr(method, "widened") else raw
    training, validation = split(raw, settings)
    scalings = method.scalings(settings, [raw.samples[i].image for i in training], axes.network_axes(raw.dims))
    scalings = scaled_like_parent(task, scalings)
    front = put_in_front(task.denoiser, raw, training, say=say) if task.denoiser else None
    seen, scaled = (front.raw, dataclasses.replace(scalings, preprocessing=())) if front else (raw, scalings)
    data = prepare(learnt_targets(seen, method, settings), settings, scaled, method.foreground(settings))
    torch.manual_seed(settings.seed)
    network, entry = _network(task, method, settings, raw)
    network, entry = front.joined(network, entry) if front else (network, entry)
    if resume:
        _require_same_data(out, raw)
        former = run_folder.read_run(out)
        network = transfer.resumed(task.parent, network, former, out)
        seconds = seconds or former.get("budget_seconds")
    transfer.freeze(network, settings.freeze)
    if not resume:
        run_folder.require_new(out)
        if task.parent and task.parent.code:
            foreign.remember(entry)
        start: dict[str, Any] = {"method": task.name, "network": entry}
        start |= {key: p.to_json() for key, p in (("parent", task.parent), ("denoiser", task.denoiser)) if p}
        _write_start(out, start, settings, raw=_given(method, settings, raw), scalings=scalings, seconds=seconds)
        if task.parent and task.parent.code:
            foreign.keep(task.parent.code, entry, out)
    say(_announcement(facts, raw, network))
    _warn_without(data, say)
    progress = train(out, method, network, data=data, settings=settings, seconds=seconds, say=say)
    held = [raw.samples[i] for i in validation] if getattr(settings, "recalibrate", False) else []
    _update(out, status="finished" if progress.finished else "interrupted", progress=progress, held=held)
    if facts.needs_labels:
        choose_thresholds(out, method, raw, settings=settings, say=say)
    return progress


def _network(
    task: Task, method: methods.Method, settings: Settings, raw: RawData
) -> tuple[torch.nn.Module, dict[str, Any]]:
    """A fresh network, or the parent's, and run.json's entry for it."""
    network = method.build_network(settings, raw.dims, *raw.channels)
    arguments = dict(method.network_arguments(settings, raw.dims, *raw.channels))
    if task.parent is not None:
        patch = foreign.patch_shapes(patch_sides(settings, raw.dims), raw.channels)
        return transfer.take_over(task.parent, network, arguments, patch)
    if settings.freeze and not (task.out / run_folder.RUN_FILE).exists():
        raise ZooferryError("freeze keeps levels of another run as they are; say which with --from RUN_OR_PACKAGE")
    return network, {"architecture": name_of(network), "arguments": arguments}


def _read(facts: methods.MethodFacts, task: Task, settings: Settings) -> RawData:
    dims = settings.dims or (facts.dims[0] if len(facts.dims) == 1 else 0)
    if dims and dims not in facts.dims:
        raise ZooferryError(f"setting dims is {dims}; {facts.name} has {' and '.join(map(str, facts.dims))}")
    if task.images is None:
        raw = draw_data(settings)
    else:
        kind = Partners(facts.needs_labels, task.partly or facts.some_labels, facts.some_labels)
        raw = read_training_data(task.images, task.targets, dims=dims, factors=target_factors(settings), partners=kind)
    made: RawData = with_degraded(raw, settings)
    return made


def _fitted(method: methods.Method, settings: Settings, raw: RawData, say: Say) -> Settings:
    """The settings with what follows from the images, for a method that has such."""
    fit = getattr(method, "fitted_settings", None)
    found: Settings = fit(settings, raw, say) if fit else settings
    return found


def _given(method: methods.Method, settings: Settings, raw: RawData) -> RawData:
    """The images as the network will be given them, where that is not how it learns from them."""
    change = getattr(method, "given_volumes", None)
    found: RawData = change(settings, raw) if change else raw
    return found


def _warn_without(data: Data, say: Say) -> None:
    if data.validation is None:
        say("warning: too few images to hold some out for validation; over-fitting will go unnoticed")


def _announcement(facts: methods.MethodFacts, raw: RawData, network: torch.nn.Module) -> str:
    count = sum(p.numel() for p in network.parameters())
    return f"{facts.title}: {len(raw.samples)} image(s), {raw.dims}D, network of {count:,} parameters"


def _require_fitting(facts: methods.MethodFacts, targets: Path | None, settings: Settings) -> None:
    degrade = getattr(settings, "degrade", None)
    if degrade and targets is not None and not hasattr(settings, "degraded"):
        raise ZooferryError(
            "degrade makes the noisy images from clean ones; leave --targets away, or say --set degrade={}"
        )
    if facts.needs_targets and targets is None and not degrade:
        raise ZooferryError(f"{facts.name} learns from pairs; give the folder of clean partners with --targets DIR")
    if facts.needs_labels:
        if targets is None:
            raise ZooferryError(f"{facts.name} learns from label images; give their folder with --labels DIR")
        return
    if not facts.needs_targets and targets is not None:
        raise ZooferryError(f"{facts.name} learns from {facts.data} alone; leave --targets away, or use care")


def _settings(
    kind: type[Settings], out: Path, values: Mapping[str, Any], seconds: float | None, resume: bool
) -> Settings:
    if resume:
        if not out.exists():
            raise ZooferryError(f"{out}: nothing to resume there; leave --resume away to start a new run")
        run_folder.read_run(out)
        if values:
            raise ZooferryError("a resumed run keeps its settings; leave --set and --settings away")
        return run_folder.read_run_settings(out, kind)
    settings = build_settings(kind, values)
    if seconds is not None and seconds <= 0:
        raise ZooferryError(f"--seconds is {seconds:g}; allowed: a positive number")
    if seconds is not None and "steps" not in values:
        settings = dataclasses.replace(settings, steps=0)
    if settings.steps == 0 and seconds is None:
        raise ZooferryError("setting steps is 0 (no limit), which needs a time budget; give --seconds N")
    return settings


def _require_same_data(out: Path, raw: RawData) -> None:
    former = read_json(out / "data.json")
    if not resumed_like(former, raw.files):
        raise ZooferryError(f"{out} was trained on other images; resume with the same folder, or start a new run")


def _write_start(
    out: Path,
    start: Mapping[str, Any],
    settings: Settings,
    *,
    raw: RawData,
    scalings: methods.Scalings,
    seconds: float | None,
) -> None:
    training, validation = split(raw, settings)
    held = {raw.samples[i].file for i in validation}
    files = [f | {"role": "validation" if i in held else "training"} for i, f in enumerate(raw.files)]
    taken = [i for i in training if raw.samples[i].source is None] or training
    grey = [float(np.percentile(raw.samples[i].image, p)) for i in taken for p in (0.1, 99.9)]
    matching = matching_of(settings, raw.channels)
    content = {
        "zooferry": __version__,
        **start,
        "status": "started",
        "dims": raw.dims,
        "channels": list(raw.channels),
        "preprocessing": list(scalings.preprocessing),
        "postprocessing": list(scalings.postprocessing),
        "target": list(scalings.preprocessing if matching else scalings.target),
        "matched": matching,
        "outputs": outputs.complete(scalings.outputs, scalings.postprocessing),
        "whole_images": bool(getattr(settings, "whole_images", False)),
        "intensity_range": [min(grey), max(grey)],
        "budget_seconds": seconds,
        "domain": training_domain([raw.samples[i] for i in training], settings, raw.calibration),
        **raw.calibration,
    }
    run_folder.write_settings(out, settings)
    write_json(out / "data.json", files)
    write_json(out / "environment.json", run_folder.environment())
    _write_example(out, raw, raw.samples[(validation or training)[0]])
    write_json(out / run_folder.RUN_FILE, content)


def _write_example(out: Path, raw: RawData, sample: RawSample) -> None:
    """The most structured power-of-two window of one raw image, with its target."""
    window = structured_window(sample.image, raw.dims)
    for role, array in (("input", sample.image), ("target", sample.target)):
        if array is not None:
            dims = array.ndim - 1
            grown = [a // n for a, n in zip(array.shape[1:], sample.image.shape[-dims:], strict=True)]
            part = [slice(w.start * g, w.stop * g) for w, g in zip(window[-dims:], grown, strict=True)]
            image = axes.label_axes(array[(slice(None), *part)], ("c", *axes.spatial_axes(dims)))
            image.attrs.update(raw.calibration)
            write_image(out / f"example_{role}.tif", image)


def structured_window(image: np.ndarray, dims: int) -> tuple[slice, ...]:
    """The window of highest variance among a coarse grid.

    Its sides are powers of two, because other sides times a pixel size can fail the format's exact size check.

    Parameters
    ----------
    image : ndarray
        C (Z) Y X.
    dims : int
        Number of spatial axes.
    """
    limits = (EXAMPLE_SIDE[dims],) * 2 if dims == 2 else (EXAMPLE_DEPTH, EXAMPLE_SIDE[3], EXAMPLE_SIDE[3])
    sides = [min(limit, 2 ** (n.bit_length() - 1)) for limit, n in zip(limits, image.shape[1:], strict=True)]
    grids = [sorted({*range(0, n - s + 1, max(1, s // 2)), n - s}) for n, s in zip(image.shape[1:], sides, strict=True)]
    best: tuple[float, tuple[slice, ...]] = (-1.0, ())
    for corner in np.array(np.meshgrid(*grids, indexing="ij")).reshape(dims, -1).T:
        window = tuple(slice(int(c), int(c) + s) for c, s in zip(corner, sides, strict=True))
        best = max(best, (float(image[(slice(None), *window)].var()), window), key=lambda found: found[0])
    return best[1]


def _update(out: Path, *, status: str, progress: Progress, held: Sequence[RawSample]) -> None:
    content = run_folder.read_run(out) | {
        "status": status,
        "ended": progress.finished,
        "steps": progress.step,
        "seconds": round(progress.elapsed, 1),
        "best_step": progress.best_step,
        "best_validation_loss": progress.best_loss if progress.history else None,
        "inference_seconds": _inference_seconds(out),
    }
    write_json(out / run_folder.RUN_FILE, with_recalibrated_scale(out, content, held))


def _inference_seconds(run: Path) -> float:
    """Wall seconds to restore the example, for the package's description."""
    model = open_run(run)
    image = next(array for _, array in axes.samples(read_image(run / "example_input.tif"), model.dims))
    started = time.monotonic()
    predict_outputs(model, image)
    return round(time.monotonic() - started, 3)


def discard(run: Path) -> None:
    """Remove a run folder; anything else is left alone.

    Raises
    ------
    ZooferryError
        The folder exists and is no run.
    """
    if run.exists():
        run_folder.read_run(run)
        shutil.rmtree(run)
