"""Open a bioimage.io model package (zip or folder) for reading, and use it as a model.

A package comes from a stranger. Opening one reads YAML only; its tensors and weights are verified against the hashes
in rdf.yaml when they are read (`verify_files` does it for all of them), nothing is unpickled, and its code is not
imported (see `zooferry.trust`). The limits, which also bound time and memory:

=====================  ====================================================================================
zip                    10,000 entries, 4 GiB unpacked, 200 : 1 above 64 MiB (`zooferry.archives`)
rdf.yaml               1 MiB, 50,000 nodes with aliases written out, 50 levels (`zooferry.safe_yaml`)
description            64 tensors of 8 axes, 64 processing steps each, sizes up to 2**31 pixels
test tensors           2 GiB, plain finite numbers, 8 axes (`zooferry.arrays`)
a host                 15 minutes in a process of its own (`zooferry.check`)
=====================  ====================================================================================

Within them, refusing or opening a package without weights takes less than a second.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zooferry.archives import unpack
from zooferry.errors import ZooferryError
from zooferry.files import sha256
from zooferry.instance_steps import LIBRARIES
from zooferry.normalization import Operation
from zooferry.package_description import (
    UNREADABLE,
    TensorSpec,
    files_with_hashes,
    in_format_0_5,
    inside,
    read_operations,
    read_tensors,
    require_hash,
    require_references,
)
from zooferry.prediction import Model
from zooferry.safe_yaml import read_yaml
from zooferry.trust import STATE_DICT, Architecture

if TYPE_CHECKING:
    from zooferry.engines import Infer

__all__ = ["OpenPackage", "TensorSpec", "open_model", "open_package", "package_model", "verify_files"]
WEIGHTS = ("onnx", "torchscript", STATE_DICT)
IMAGE_AXES = (("y", "x"), ("z", "y", "x"))
DESCRIPTION_NAMES = ("rdf.yaml", "bioimageio.yaml", "model.yaml")


@dataclass(frozen=True)
class OpenPackage:
    """A package unpacked for reading.

    Attributes
    ----------
    folder : Path
        Where its files lie; temporary for a zip.
    sha256 : str
        Of the zip; for a folder, of its description file.
    name, version : str
    inputs, outputs : tuple of TensorSpec
    weights : dict
        Format (pytorch_state_dict, torchscript, onnx) -> file.
    content : dict
        The whole description as read from YAML.
    architecture : Architecture or None
        The code of the state dict.
    """

    folder: Path
    sha256: str
    name: str
    version: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    weights: dict[str, Path]
    content: Mapping[str, Any]
    architecture: Architecture | None = None


@contextmanager
def open_package(path: Path) -> Iterator[OpenPackage]:
    """Open a package zip, or a folder that holds rdf.yaml; format 0.4 or 0.5.

    The description may lie in the one folder that the zip holds.

    Raises
    ------
    ZooferryError
        The path is no package, or its zip holds something unsafe.
    """
    if path.is_dir():
        yield _read_folder(path, None)
        return
    if not path.is_file():
        raise ZooferryError(f"{path}: no such file or folder; give a model package (.zip) or its unpacked folder")
    with tempfile.TemporaryDirectory(prefix="zooferry-") as scratch:
        unpack(path, Path(scratch))
        yield _read_folder(Path(scratch), path)


def _find_description(folder: Path) -> Path | None:
    """The description in `folder`, or in the only folder in it that has one."""
    below = sorted(p for p in folder.iterdir() if p.is_dir() and not p.is_symlink() and p.name != "__MACOSX")
    places = [folder, *below] if len(below) == 1 else [folder]
    files = (place / name for place in places for name in DESCRIPTION_NAMES)
    return next((file for file in files if file.is_file()), None)


def _read_folder(folder: Path, archive: Path | None) -> OpenPackage:
    source = archive or folder
    description = _find_description(folder)
    if description is None:
        raise ZooferryError(f"{source}: no rdf.yaml in it, so it is no model package; make one with 'zooferry package'")
    content = read_yaml(description, source=source)
    if content.get("type") != "model":
        raise ZooferryError(f"{source}: its type is {str(content.get('type'))[:40]!r}; allowed is 'model'")
    try:
        return _describe(description, content, sha256(archive or description))
    except ZooferryError as error:
        raise ZooferryError(f"{source}: {error}") from error
    except UNREADABLE as error:
        said = " ".join(str(error).split())[:200]
        raise ZooferryError(
            f"{source}: {description.name} is incomplete or wrong ({type(error).__name__}: {said})"
        ) from error


def _describe(description: Path, content: dict[str, Any], digest: str) -> OpenPackage:
    folder = description.parent
    converted = in_format_0_5(content)
    weights = {str(k)[:80]: w for k, w in converted["weights"].items() if w}
    state = weights.get(STATE_DICT) or {}
    inputs, outputs = (read_tensors(folder, converted, role) for role in ("inputs", "outputs"))
    require_references(inputs, outputs)
    return OpenPackage(
        folder=folder,
        sha256=digest,
        name=" ".join(str(content["name"]).split())[:200],
        version=str(content.get("version", ""))[:80],
        inputs=inputs,
        outputs=outputs,
        weights={kind: inside(folder, entry["source"]) for kind, entry in weights.items()},
        content=content,
        architecture=_architecture(folder, state.get("architecture")),
    )


def _architecture(folder: Path, entry: Mapping[str, Any] | None) -> Architecture | None:
    if not entry:
        return None
    return Architecture(
        file=inside(folder, entry["source"]) if "source" in entry else None,
        module=str(entry.get("import_from", "")),
        callable=str(entry["callable"]),
        kwargs={str(k): v for k, v in (entry.get("kwargs") or {}).items()},
        sha256=str(entry.get("sha256") or ""),
    )


def verify_files(package: OpenPackage) -> None:
    """Compare every file that the description gives a sha256 for with it.

    Files named by a web address or absent are left to whoever needs them.

    Raises
    ------
    ZooferryError
        A file is another one, or lies outside the package.
    """
    pairs = list(files_with_hashes(package.content))
    if package.architecture and package.architecture.file:
        pairs.append(
            (str(package.architecture.file.relative_to(package.folder.resolve())), package.architecture.sha256)
        )
    for source, digest in pairs:
        if "://" not in source and (file := inside(package.folder, source)).is_file():
            require_hash(file, digest)


def weights_file(package: OpenPackage, weights: str) -> Path:
    """The file of a weights format, after its hash was verified.

    Raises
    ------
    ZooferryError
        The package has no such weights, the file is not there, or it is another one.
    """
    file = package.weights.get(weights)
    if file is None:
        present = ", ".join(package.weights) or "none"
        raise ZooferryError(f"{package.name}: no {weights} weights; present: {present}")
    if not file.is_file():
        raise ZooferryError(f"{package.name}: {file.name} is not in the package; download the whole package")
    said = in_format_0_5(package.content)["weights"].get(weights) or {}
    require_hash(file, str(said.get("sha256") or ""))
    return file


def why_not_tiled(package: OpenPackage) -> str:
    """Why the package is no image in, images of that size or a multiple out, in words; empty if it is just that."""
    if len(package.inputs) != 1:
        return f"{len(package.inputs)} inputs; allowed is one"
    if len({output.axes for output in package.outputs}) > 1:
        return "outputs of different axes; allowed are the same ones"
    problems = (_why_no_image(package.inputs[0], output) for output in package.outputs)
    problem = next((problem for problem in problems if problem), "")
    if not problem and len({_factors(package.inputs[0], output) for output in package.outputs}) > 1:
        return "outputs of different sizes; allowed is the same one"
    return problem


def _why_no_image(raw: TensorSpec, restored: TensorSpec) -> str:
    flat = ("batch", "channel", "y", "x")  # of a projection
    if raw.axes[:2] != flat[:2] or raw.axes[2:] not in IMAGE_AXES or restored.axes not in (raw.axes, flat):
        return f"axes {', '.join(raw.axes)} to {', '.join(restored.axes)}; allowed are batch, channel, (z), y, x"
    if any(operation["id"] in LIBRARIES for operation in restored.operations):
        return f"its output {restored.id!r} becomes labels; allowed is an image"
    for axis, factor in zip(raw.axes[2:], _factors(raw, restored), strict=True):
        if factor == 0 and axis in restored.axes:
            return f"its output {restored.id!r} has another size along {axis}; allowed are multiples of the input's"
    return ""


def _factors(raw: TensorSpec, restored: TensorSpec) -> tuple[int, ...]:
    """Output over input pixels per spatial axis of the input; 0: no such axis, or no whole number."""
    return tuple(_factor(raw, restored, axis) for axis in raw.axes[2:])


def _factor(raw: TensorSpec, restored: TensorSpec, axis: str) -> int:
    if axis not in restored.axes:
        return 0
    first, second = raw.axes.index(axis), restored.axes.index(axis)
    size = restored.sizes[second]
    if not isinstance(size, Mapping):
        return int(size == raw.sizes[first])
    ratio = raw.scales[first] / restored.scales[second]
    whole = abs(ratio - round(ratio)) < 1e-6 * ratio and size == {"tensor_id": raw.id, "axis_id": axis, "offset": 0}
    return round(ratio) if whole else 0


def package_model(package: OpenPackage, *, weights: str | None = None, trust_code: bool = False) -> Model:
    """The package as a model for prediction.

    Parameters
    ----------
    package : OpenPackage
        With one input, and outputs of its spatial sizes or whole multiples of them.
    weights : str, optional
        "onnx", "torchscript" or "pytorch_state_dict"; by default the first of these, ONNX being the fastest on a
        processor.
    trust_code : bool
        Whether code that the package brings may be run, for its state dict.

    Raises
    ------
    ZooferryError
        The package has other tensors, or no weights of that kind.
    """
    problem = why_not_tiled(package)
    if problem:
        raise ZooferryError(f"{package.name}: {problem}")
    raw = package.inputs[0]
    sizes = [s if isinstance(s, Mapping) else {"min": int(s), "step": 1} for s in raw.sizes[2:]]
    infer = load_weights(package, weights, trust_code=trust_code)
    return Model(
        name=package.name,
        axes=raw.axes,
        channels=int(raw.sizes[1]),
        step=tuple(int(s["step"]) for s in sizes),
        minimum=tuple(int(s["min"]) for s in sizes),
        halo=tuple(max(_halo(raw, output, axis) for output in package.outputs) for axis in raw.axes[2:]),
        preprocessing=raw.operations,
        outputs={output.id: output.operations for output in package.outputs},
        network=lambda batch: infer([batch]),
        fixed=tuple(i for i, s in enumerate(raw.sizes[2:]) if not isinstance(s, Mapping)),
        factors=_factors(raw, package.outputs[0]),
        target=_target(package.content),
        matched=str(_said(package.content).get("target_matched") or ""),
        domain=package_domain(package),
    )


def _halo(raw: TensorSpec, output: TensorSpec, axis: str) -> int:
    """In pixels of the input."""
    return -(-output.halo[output.axes.index(axis)] // _factor(raw, output, axis)) if axis in output.axes else 0


def _target(content: Mapping[str, Any]) -> tuple[Operation, ...]:
    """What our own packages say about the units of their outputs."""
    return tuple(read_operations(_said(content).get("target_preprocessing") or ()))


def package_domain(package: OpenPackage) -> dict[str, Any]:
    """What its training images were like (see `zooferry.domain`), {} where it does not tell."""
    from zooferry.domain import read_domain

    return read_domain(_said(package.content).get("domain"))


def _said(content: Mapping[str, Any]) -> Mapping[str, Any]:
    said: Mapping[str, Any] = (content.get("config") or {}).get("zooferry") or {}
    return said


def load_weights(package: OpenPackage, weights: str | None = None, *, trust_code: bool = False) -> Infer:
    """The package's network as a function of its input arrays; see :func:`package_model`."""
    from zooferry import engines
    from zooferry.trust import build_network

    kind = weights or next((k for k in WEIGHTS if k in package.weights), "")
    if kind not in WEIGHTS or kind not in package.weights:
        present = ", ".join(package.weights) or "none"
        raise ZooferryError(f"{package.name}: no {weights or 'usable'} weights; present: {present}")
    if kind == STATE_DICT:
        return engines.guarded(package.name, engines.from_torch(build_network(package, trust_code=trust_code)))
    load = engines.load_onnx if kind == "onnx" else engines.load_torchscript
    return engines.load(package.name, load, weights_file(package, kind))


@contextmanager
def open_model(path: Path, *, trust_code: bool = False) -> Iterator[Model]:
    """A run folder, package folder or package zip as a model for prediction."""
    if (path / "run.json").is_file():
        from zooferry.trained import open_run

        yield open_run(path)
        return
    with open_package(path) as package:
        yield package_model(package, trust_code=trust_code)
