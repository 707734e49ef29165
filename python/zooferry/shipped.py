"""`zooferry models`: the packages that are shipped beside this program, and how good they are.

They lie in the folder ``model_packages`` of the repository, one folder each: ``<name>/<name>.zip``, ``metrics.json``
(what `zooferry evaluate` wrote), and how the package was made. An installed wheel does not hold them: each has up to
5 MB, more than the whole program.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zooferry.errors import ZooferryError
from zooferry.files import read_json

FOLDER = "model_packages"


@dataclass(frozen=True)
class ShippedModel:
    """A package: what it does and how good it is, each as a line; `problem` says why it cannot be read."""

    name: str
    path: Path
    size: int
    does: str = ""
    scores: str = ""
    problem: str = ""


def models_folder(given: Path | None = None) -> Path:
    """The folder of packages: `given`, else that of the checkout this program runs from.

    Raises
    ------
    ZooferryError
        There is no such folder; the message says where to get it.
    """
    if given is not None:
        if not given.is_dir():
            raise ZooferryError(f"{given} is no folder; allowed: one that holds packages as NAME/NAME.zip or NAME.zip")
        return given
    for place in (Path(__file__).resolve().parents[2], Path.cwd()):
        if (place / FOLDER).is_dir():
            return place / FOLDER
    raise ZooferryError(
        f"this zooferry was installed without its packages: they are too large for a wheel; get the folder {FOLDER} of "
        f"its repository, then run  zooferry models --folder PATH/{FOLDER}  (or run zooferry in the repository)"
    )


def shipped_models(folder: Path) -> list[ShippedModel]:
    """All packages of a folder, by name.

    Raises
    ------
    ZooferryError
        There is none.
    """
    found = [_read(path) for path in _zips(folder)]
    if not found:
        raise ZooferryError(f"{folder} holds no package; allowed: a folder of packages as NAME/NAME.zip or NAME.zip")
    return sorted(found, key=lambda model: model.name)


def _zips(folder: Path) -> Iterator[Path]:
    yield from folder.glob("*.zip")
    for inner in folder.iterdir():
        if (inner / f"{inner.name}.zip").is_file():
            yield inner / f"{inner.name}.zip"


def _read(path: Path) -> ShippedModel:
    from zooferry.package import open_package

    size = path.stat().st_size
    try:
        with open_package(path) as package:
            does = " ".join(str(package.content.get("description") or package.content.get("name") or "").split())
        file = path.with_name("metrics.json")
        scores = score_words(read_json(file)) if file.is_file() else ""
    except (ZooferryError, OSError, ValueError) as error:
        return ShippedModel(path.stem, path, size, problem=" ".join(str(error).split()))
    return ShippedModel(path.stem, path, size, does, scores)


def score_words(metrics: Mapping[str, Any]) -> str:
    """A line of scores from metrics.json, of restoration or of segmentation, beside the best classical filter."""
    mean = metrics.get("mean") if isinstance(metrics, Mapping) else None
    if not isinstance(mean, Mapping):
        raise ZooferryError("metrics.json holds no scores; make it with zooferry evaluate")
    if "AP" in mean:
        return _segmentation(mean, (metrics.get("classical") or {}).get("mean"))
    return _restoration(mean)


def _segmentation(mean: Mapping[str, Any], classical: Mapping[str, Any] | None) -> str:
    own, others = _values(mean), _values(classical or {})
    parts = []
    for name, value in own.items():
        beside = others.get(name)
        parts.append(f"{name} {value:.3f}" + (f" ({beside:.3f})" if beside is not None else ""))
    return ", ".join(parts) + ("  (in brackets: Otsu + watershed)" if classical else "")


def _values(mean: Mapping[str, Any]) -> dict[str, float]:
    precisions = mean.get("AP") or {}
    found = {"AP@0.5": precisions.get("0.5"), "AP@0.75": precisions.get("0.75"), "SEG": mean.get("SEG")}
    return {name: value for name, value in found.items() if value is not None}


def _restoration(mean: Mapping[str, Any]) -> str:
    restored = mean.get("restored") or {}
    others = {name: scores for name, scores in mean.items() if name != "restored"}
    parts = []
    for name, best, digits in (("NRMSE", min, 4), ("PSNR", max, 2), ("SSIM", max, 3)):
        if name in restored:
            values = [scores[name] for scores in others.values() if name in scores]
            beside = f" ({best(values):.{digits}f})" if values else ""
            parts.append(f"{name} {restored[name]:.{digits}f}{beside}")
    return ", ".join(parts) + ("  (in brackets: the best of the other rows of its metrics.json)" if others else "")


def table(models: Sequence[ShippedModel]) -> str:
    """All of them as text, up to four lines each."""
    width = max(len(model.name) for model in models)
    lines = []
    for model in models:
        rest = (
            [f"cannot be read: {model.problem}"] if model.problem else [model.does, model.scores or "no metrics.json"]
        )
        first, *more = [f"{model.size / 1e6:.1f} MB  {rest[0]}", *rest[1:], str(model.path)]
        lines += [f"{model.name:<{width}}  {first}", *(f"{'':<{width}}  {line}" for line in more)]
    return "\n".join(lines)
