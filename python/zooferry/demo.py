"""The whole chain in one command: images -> training -> packages -> every host -> ImageJ -> one report."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from zooferry import __version__, methods, run_folder
from zooferry.card import demo_card
from zooferry.check import check_package
from zooferry.comparison import compare
from zooferry.errors import ZooferryError
from zooferry.evaluation import compare_candidates
from zooferry.evaluation_tables import metrics, score_table
from zooferry.files import make_folder, write_json
from zooferry.images import list_images, match_pairs, read_image
from zooferry.package import open_model, open_package
from zooferry.packager import package_run
from zooferry.pairs import Pair, read_pairs
from zooferry.report import DemoReport, EvaluationReport, HostDifference, write_demo_report
from zooferry.restoring import restore_image
from zooferry.runs import discard, train_method

Say = Callable[[str], None]
NAMES = ("n2v", "care")
HELD_OUT = 0.2
SEED = 0


@dataclass
class Timings:
    """Seconds of every part, in the order they ran."""

    say: Say
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Announce and time one part."""
        self.say(f"== {name}")
        started = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - started, 1)


def run_demo(out: Path, images: Path | None, targets: Path | None, *, seconds: float, say: Say) -> tuple[Path, bool]:
    """Train Noise2Void and CARE, package both, check both everywhere, restore held-out images in ImageJ, report.

    Parameters
    ----------
    out : Path
        Gets n2v.zip, care.zip, report.html, report.json, restored/, runs/, checks/ and data/.
    images, targets : Path, optional
        The user's noisy images and their clean partners; simulated acquisitions without them.
    seconds : float
        Training time of each method, wall seconds.
    say : callable
        Gets the progress line by line.

    Returns
    -------
    report : Path
        The HTML report.
    passed : bool
        Whether every host agreed and ImageJ restored every held-out image.

    Raises
    ------
    ZooferryError
        Only one of the folders was given, there are fewer than two pairs, or anything a part refuses.
    """
    if (images is None) != (targets is None):
        raise ZooferryError("give both --images and --targets, or neither for simulated acquisitions")
    if images is not None and targets is not None:
        pairs = read_pairs(images, targets)  # refuses what is unusable before anything is written
        if len(pairs) < 2:
            raise ZooferryError(f"{images}: {len(pairs)} pair; at least 2 are needed, one of them to be held out")
    make_folder(out)
    timings = Timings(say)
    with timings.part("images"):
        training, held_out = _prepare(out / "data", images, targets, say)
        pairs = read_pairs(held_out / "noisy", held_out / "clean")
    for name in NAMES:
        with timings.part(f"training {name}"):
            _train(name, out, training, seconds, say)
        with timings.part(f"packaging {name}"):
            _package(name, out, simulated=images is None, say=say)
    checks = []
    for name in NAMES:
        with timings.part(f"checking {name} in every host"):
            checks.append(check_package(out / f"{name}.zip", out=out / "checks" / name, on_line=say))
    with timings.part("restoring held-out images in Python"):
        restored = {name: _restore_in_python(out / f"{name}.zip", pairs) for name in NAMES}
    with timings.part("restoring held-out images in ImageJ"):
        differences = _restore_in_imagej(out, held_out / "noisy", pairs, restored, say)
    with timings.part("scores and report"):
        evaluation = replace(compare_candidates(pairs, restored), title="Held-out images")
    about = _about(images, training, pairs, seconds)
    report = DemoReport("zooferry demo", evaluation, tuple(differences), tuple(checks), timings.seconds, about)
    say(score_table(evaluation))
    return _write(out, report), report.passed


def _package(name: str, out: Path, *, simulated: bool, say: Say) -> None:
    """The simulated demo has a card of its own; with the user's images the authors' fields are the user's to say."""
    run = out / "runs" / name
    kind = methods.facts(name).title.partition(":")[0]
    card = demo_card(out / "runs" / f"{name}-card.yaml", kind) if simulated else None
    package_run(run, out / f"{name}.zip", card=card, say=say)


def _about(images: Path | None, training: Path, pairs: list[Pair], seconds: float) -> Mapping[str, str]:
    count = len(list_images(training / "noisy"))
    return {
        "images": f"{images or 'simulated acquisitions'}: {count} for training, {len(pairs)} held out",
        "training": f"{seconds:g} s of each method",
        "scores": "after the affine fit of Weigert 2018; the Gaussian filter has the width that is best on the "
        "held-out images themselves",
    }


def _prepare(data: Path, images: Path | None, targets: Path | None, say: Say) -> tuple[Path, Path]:
    """Folders with noisy/ and clean/ for training and held out; data/ is made anew."""
    if images is None or targets is None:
        from zooferry.simulation import default_settings, write_simulation

        _discard_data(data)
        write_simulation(data, default_settings(2), seed=SEED, on_progress=_counted(say))
        return data / "train", data / "val"
    pairs = match_pairs(images, targets)
    _discard_data(data)
    count = max(1, round(HELD_OUT * len(pairs)))
    held = set(np.random.default_rng(SEED).permutation(len(pairs))[:count].tolist())
    for number, pair in enumerate(pairs):
        folder = data / ("val" if number in held else "train")
        for role, path in zip(("noisy", "clean"), pair, strict=True):
            (folder / role).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / role / f"{path.stem}.tif")
    return data / "train", data / "val"


def _counted(say: Say) -> Callable[[int, int], None]:
    return lambda done, of: say(f"image {done} of {of}") if done == of else None


def _discard_data(data: Path) -> None:
    """Remove what an earlier demo left, and only that."""
    known = {"train", "val", "simulation.json"}
    if data.exists():
        strange = sorted(p.name for p in data.iterdir() if p.name not in known)
        if strange:
            raise ZooferryError(f"{data} holds {', '.join(strange[:3])}, which no demo made; choose another --out")
        shutil.rmtree(data)


def _train(name: str, out: Path, training: Path, seconds: float, say: Say) -> None:
    run = out / "runs" / name
    discard(run)
    progress = train_method(
        name,
        run,
        images=training / "noisy",
        targets=training / "clean" if methods.facts(name).needs_targets else None,
        values={},
        seconds=seconds,
        resume=False,
        say=say,
    )
    if not progress.finished:
        raise KeyboardInterrupt


def _restore_in_python(package: Path, pairs: list[Pair]) -> list[xr.DataArray]:
    with open_model(package) as model:
        return [restore_image(model, pair.noisy) for pair in pairs]


def _restore_in_imagej(
    out: Path, noisy: Path, pairs: list[Pair], restored: Mapping[str, list[xr.DataArray]], say: Say
) -> list[HostDifference]:
    """Run the menu command of Fiji in headless ImageJ; restored/<method>/<image>.tif is what came out."""
    from zooferry.hosts.imagej import run_images

    differences = []
    for name in NAMES:
        folder = out / "restored" / name
        shutil.rmtree(folder, ignore_errors=True)
        with open_package(out / f"{name}.zip") as package:
            results = run_images(package.folder, [noisy / p.name for p in pairs], folder)
        for result, pair, expected in zip(results, pairs, restored[name], strict=True):
            if result.result is None:
                raise ZooferryError(f"ImageJ could not restore {pair.name} with {name}: {result.message}")
            actual = read_image(result.result).transpose(*expected.dims).values
            title = f"{name}, {pair.name}: ImageJ minus Python"
            verdict = compare(actual, expected.values, name=title, axes=tuple(map(str, expected.dims)))
            say(f"{title}: {verdict.sentence()}")
            differences.append(HostDifference(title, actual, expected.values, verdict))
    return differences


def _write(out: Path, report: DemoReport) -> Path:
    write_json(out / "report.json", _content(report, report.evaluation))
    write_demo_report(out / "report.html", report)
    return (out / "report.html").resolve()


def _content(report: DemoReport, evaluation: EvaluationReport) -> dict[str, Any]:
    return {
        "zooferry": __version__,
        "passed": report.passed,
        "scores": metrics(evaluation),
        "packages": {name: check.to_json() for name, check in zip(NAMES, report.checks, strict=True)},
        "imagej_minus_python": [d.verdict.to_json() for d in report.differences],
        "seconds": dict(report.timings),
        "environment": run_folder.environment(),
    }
