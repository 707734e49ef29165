"""What training a segmentation has beside the loop: targets from labels before it, thresholds after it."""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zooferry import run_folder
from zooferry.errors import ZooferryError
from zooferry.files import write_atomically, write_json
from zooferry.instances import polyhedra, star_convex
from zooferry.instances.declaration import Declaration, decode
from zooferry.methods.segmentation import SCORED, Decoding
from zooferry.prediction import Model, predict_outputs
from zooferry.segmentation_metrics import overlap
from zooferry.settings import Settings
from zooferry.size_model import add_size_model
from zooferry.trained import open_run
from zooferry.training_data import RawData, RawSample, split

Say = Callable[[str], None]
MOST_POLYHEDRA = 5_000  # candidates of a volume, the most probable ones: a raw network has them everywhere
MOST_IMAGES, MOST_PIXELS = 60, 2_000_000  # on which thresholds are chosen: one of the two


def learnt_targets(raw: RawData, method: Any, settings: Settings) -> RawData:
    """The data with each label image replaced by what the network is to learn; as it is for other methods."""
    if not hasattr(method, "targets"):
        return raw
    samples = []
    for sample in raw.samples:
        assert sample.target is not None  # a method of segmentation is refused without labels
        labels = sample.target[0].astype(np.int64)
        samples.append(replace(sample, target=method.targets(labels, settings)))
    if not any(float(s.target.max()) > 0 for s in samples if s.target is not None):
        raise ZooferryError("no label image holds an object; give label images with a number above 0 for each object")
    return replace(raw, samples=samples)


@dataclass(frozen=True, eq=False)
class _Judged:
    """An image's heads C (Z) Y X, and its true labels (Z) Y X."""

    heads: np.ndarray
    labels: np.ndarray


def choose_thresholds(run: Path, method: Any, raw: RawData, *, settings: Settings, say: Say) -> None:
    """Find the weights and the parameters of decoding with the best mean average precision on the validation images.

    The weights are those with the least validation loss, those of the last step, or the average of the last ones: the
    loss of patches and the precision of images do not always agree. They become best.pt, and the parameters the entry
    ``instances`` of run.json: what a package declares, and the score.
    """
    content = run_folder.read_run(run)
    decoding: Decoding = method.decoding(settings, raw.dims)
    training, validation = split(raw, settings)
    numbers = validation or training
    most = max(MOST_IMAGES, MOST_PIXELS // raw.samples[0].image[0].size)
    samples = [raw.samples[number] for number in numbers[:: -(-len(numbers) // most)]]
    best, score = _best(decoding, _judge(open_run(run), decoding, samples))
    for rival in _rivals(run):
        others, higher = _best(decoding, _judge(open_run(run, weights=rival.name), decoding, samples))
        if higher > score:
            best, score = others, higher
            rival.replace(run / "best.pt")
        rival.unlink(missing_ok=True)
    said = {"method": decoding.method, "outputs": list(decoding.outputs), **decoding.parameters, **best}
    said |= {"volume": True} if raw.dims == 3 else {}
    said |= method.declared(settings) if hasattr(method, "declared") else {}
    write_json(run / run_folder.RUN_FILE, {**content, "instances": said, "instances_score": score})
    words = ", ".join(f"{key} {value:g}" for key, value in best.items())
    if getattr(settings, "diameter", 0):
        add_size_model(run, raw, say)
    say(f"{words}: mean average precision {score:.3f} on {len(samples)} images (IoU {', '.join(map(str, SCORED))})")


def _judge(model: Model, decoding: Decoding, samples: Sequence[RawSample]) -> list[_Judged]:
    judged = []
    for sample in samples:
        assert sample.target is not None
        found = predict_outputs(model, sample.image)
        heads = np.concatenate([found[name] for name in decoding.outputs])
        judged.append(_Judged(heads, sample.target[0].astype(np.int64)))
    return judged


def _rivals(run: Path) -> Iterator[Path]:
    """Weights beside those of best.pt, each as a file of its own: of the last step, and the average."""
    state = torch.load(run / "last.pt", weights_only=True, map_location="cpu")
    progress = json.loads(state["progress"])
    rivals = {} if progress["best_step"] == progress["step"] else {"final.pt": state["network"]}
    if state.get("average"):
        rivals["average.pt"] = state["average"]
    for name, weights in rivals.items():
        write_atomically(run / name, functools.partial(torch.save, weights))
        yield run / name


def _best(decoding: Decoding, judged: Sequence[_Judged]) -> tuple[dict[str, float], float]:
    """The parameters with the best mean over the images; of several the ones in the middle."""
    sums: dict[tuple[float, ...], float] = {}
    for image in judged:
        for values, labels in _trials(decoding, image):
            sums[values] = sums.get(values, 0.0) + mean_precision(image.labels, labels)
    highest = max(sums.values())
    equal = [values for values, total in sums.items() if total == highest]
    return dict(zip(decoding.tuned, equal[len(equal) // 2], strict=True)), highest / len(judged)


def mean_precision(true: np.ndarray, predicted: np.ndarray) -> float:
    """Mean average precision over the IoU in `SCORED`."""
    found = overlap(true, predicted)
    return float(np.mean([found.match(threshold).average_precision for threshold in SCORED]))


def _trials(decoding: Decoding, image: _Judged) -> Iterator[tuple[tuple[float, ...], np.ndarray]]:
    """Values of the tuned parameters, and the labels that they give."""
    if decoding.method == "star_convex":
        yield from _star_trials(decoding, image)
        return
    for values in itertools.product(*decoding.tuned.values()):
        parameters = {**decoding.parameters, **dict(zip(decoding.tuned, values, strict=True))}
        declaration = Declaration(decoding.method, decoding.outputs, parameters, volume=image.labels.ndim == 3)
        yield values, decode(declaration, image.heads, image.labels.shape)


def _star_trials(decoding: Decoding, image: _Judged) -> Iterator[tuple[tuple[float, ...], np.ndarray]]:
    """The same for polygons, which are suppressed by more probable ones alone: a higher threshold only takes some off.

    So each overlap is suppressed once, from the lowest probability on.
    """
    probabilities, overlaps = decoding.tuned["prob_thresh"], decoding.tuned["nms_thresh"]
    places = {key: decoding.parameters[key] for key in ("grid", "border") if key in decoding.parameters}
    found = star_convex.find_candidates(image.heads[0], image.heads[1:], prob_thresh=min(probabilities), **places)
    if image.labels.ndim == 3:
        yield from _polyhedra_trials(decoding, found.chosen(np.arange(min(len(found.prob), MOST_POLYHEDRA))), image)
        return
    for overlapping in overlaps:
        kept = found.chosen(star_convex.suppress(found, nms_thresh=overlapping))
        for probability in probabilities:
            above = kept.chosen(np.flatnonzero(kept.prob > np.float32(probability)))
            yield (probability, overlapping), star_convex.draw(above, image.labels.shape)


def _polyhedra_trials(
    decoding: Decoding, found: star_convex.Polygons, image: _Judged
) -> Iterator[tuple[tuple[float, ...], np.ndarray]]:
    """For volumes; each overlap is drawn once, for the more probable ones lie on top."""
    sizes = decoding.parameters["anisotropy"]
    for overlapping in decoding.tuned["nms_thresh"]:
        kept = found.chosen(polyhedra.suppress(found, anisotropy=sizes, nms_thresh=overlapping))
        labels, highest = polyhedra.draw_in_turn(kept, image.labels.shape, sizes)
        for probability in decoding.tuned["prob_thresh"]:
            count = int((kept.prob > np.float32(probability)).sum())
            yield (probability, overlapping), np.where(labels <= (highest[count - 1] if count else 0), labels, 0)
