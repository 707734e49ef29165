"""Open a bioimage.io model package (zip or folder) for reading, and use it as a model.

Nothing of a package is ever imported or unpickled here: only YAML, numpy arrays without objects, TorchScript and
ONNX are read. A zip is unpacked into a temporary folder after its entries were looked at.
"""

from __future__ import annotations

import hashlib
import re
import stat
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import yaml

from zooferry.errors import ZooferryError
from zooferry.files import sha256
from zooferry.normalization import Operation
from zooferry.prediction import Model, Network

MAX_UNPACKED_BYTES = 4 << 30
MAX_ENTRIES = 10_000
MAX_YAML_BYTES = 4 << 20
_FLOAT = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)[eE][-+]?\d+$")


class _Loader(yaml.SafeLoader):
    """PyYAML reads ``1e-06``, which bioimageio.spec writes, as a string; YAML 1.2 says it is a number."""


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))
DESCRIPTION_NAMES = ("rdf.yaml", "bioimageio.yaml", "model.yaml")


@dataclass(frozen=True)
class TensorSpec:
    """One input or output as the package declares it.

    Attributes
    ----------
    id : str
    axes : tuple of str
        Axis ids: batch, channel, (z), y, x.
    sizes : tuple
        Per axis: a number of pixels, ``{"min", "step"}``, ``{"tensor_id", "axis_id", "offset"}`` or None.
    halo : tuple of int
        Per axis, pixels; 0 where none is declared.
    operations : tuple of Operation
        Pre-processing of an input, post-processing of an output.
    pixel_size : dict
        Spatial axis -> size in `unit`.
    unit : str
        "micrometer", or "" where none is declared.
    test_file : Path or None
        The stored test tensor (.npy).
    """

    id: str
    axes: tuple[str, ...]
    sizes: tuple[Any, ...]
    halo: tuple[int, ...]
    operations: tuple[Operation, ...]
    pixel_size: dict[str, float]
    unit: str
    test_file: Path | None
    channel_names: tuple[str, ...] = ()

    def test_array(self) -> np.ndarray:
        """The stored test tensor.

        Raises
        ------
        ZooferryError
            It is missing or no plain numpy array.
        """
        if self.test_file is None or not self.test_file.is_file():
            raise ZooferryError(f"the package holds no test tensor for {self.id!r}; package the model again")
        try:
            array: np.ndarray = np.load(self.test_file, allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise ZooferryError(f"{self.test_file.name}: not a numpy array ({error})") from error
        return array


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
    """

    folder: Path
    sha256: str
    name: str
    version: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    weights: dict[str, Path]
    content: Mapping[str, Any]


@contextmanager
def open_package(path: Path) -> Iterator[OpenPackage]:
    """Open a package zip, or a folder that holds rdf.yaml.

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
        _unpack(path, Path(scratch))
        yield _read_folder(Path(scratch), path)


def _unpack(path: Path, into: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _require_safe(path, entries)
            for entry in entries:
                archive.extract(entry, into)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise ZooferryError(f"{path}: not a readable zip ({error}); a package is a zip with rdf.yaml in it") from error


def _require_safe(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    if len(entries) > MAX_ENTRIES or sum(e.file_size for e in entries) > MAX_UNPACKED_BYTES:
        raise ZooferryError(
            f"{path}: unpacks to more than {MAX_ENTRIES} files or {MAX_UNPACKED_BYTES >> 30} GiB; refused"
        )
    seen: set[str] = set()
    for entry in entries:
        name = PurePosixPath(entry.filename.replace("\\", "/"))
        if name.is_absolute() or ".." in name.parts or ":" in name.parts[0]:
            raise ZooferryError(f"{path}: holds the entry {entry.filename!r}, which leads outside the package; refused")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise ZooferryError(f"{path}: holds the symbolic link {entry.filename!r}; refused")
        if str(name) in seen:
            raise ZooferryError(f"{path}: holds two entries named {entry.filename!r}; refused")
        seen.add(str(name))


def _read_folder(folder: Path, archive: Path | None) -> OpenPackage:
    source = archive or folder
    description = next((folder / n for n in DESCRIPTION_NAMES if (folder / n).is_file()), None)
    if description is None:
        raise ZooferryError(f"{source}: no rdf.yaml in it, so it is no model package; make one with 'zooferry package'")
    content = _read_yaml(source, description)
    try:
        if content.get("type") != "model":
            raise ZooferryError(f"{source}: its type is {content.get('type')!r}; allowed is 'model'")
        version = str(content["format_version"])
        if not version.startswith("0.5"):
            raise ZooferryError(f"{source}: format {version}; allowed is 0.5; convert it with bioimageio.spec")
        return OpenPackage(
            folder=folder,
            sha256=sha256(archive) if archive else hashlib.sha256(description.read_bytes()).hexdigest(),
            name=str(content["name"]),
            version=str(content.get("version", "")),
            inputs=tuple(_tensor(folder, t, "preprocessing") for t in content["inputs"]),
            outputs=tuple(_tensor(folder, t, "postprocessing") for t in content["outputs"]),
            weights={str(k): _inside(folder, w["source"]) for k, w in content["weights"].items() if w},
            content=content,
        )
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        raise ZooferryError(f"{source}: rdf.yaml is incomplete ({type(error).__name__}: {error})") from error


def _read_yaml(source: Path, description: Path) -> dict[str, Any]:
    if description.stat().st_size > MAX_YAML_BYTES:
        raise ZooferryError(f"{source}: {description.name} is larger than {MAX_YAML_BYTES >> 20} MiB; refused")
    try:
        content = yaml.load(description.read_text(encoding="utf-8"), Loader=_Loader)  # a SafeLoader
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ZooferryError(f"{source}: {description.name} is not readable YAML") from error
    if not isinstance(content, dict):
        raise ZooferryError(f"{source}: {description.name} holds no fields")
    return content


def _inside(folder: Path, source: str) -> Path:
    path = (folder / str(source)).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ZooferryError(f"rdf.yaml names the file {source!r}, which lies outside the package; refused")
    return path


def _tensor(folder: Path, entry: Mapping[str, Any], stage: str) -> TensorSpec:
    axes = entry["axes"]
    names = tuple(str(a.get("id", a["type"])) for a in axes)
    space = {str(a["id"]): a for a in axes if a["type"] == "space"}
    test = entry.get("test_tensor") or {}
    return TensorSpec(
        id=str(entry["id"]),
        axes=names,
        sizes=tuple(_size(a) for a in axes),
        halo=tuple(int(a.get("halo", 0)) for a in axes),
        operations=tuple(entry.get(stage) or ()),
        pixel_size={k: float(a.get("scale", 1.0)) for k, a in space.items() if a.get("unit")},
        unit=next((str(a["unit"]) for a in space.values() if a.get("unit")), ""),
        test_file=_inside(folder, test["source"]) if "source" in test else None,
        channel_names=next((tuple(map(str, a["channel_names"])) for a in axes if a["type"] == "channel"), ()),
    )


def _size(axis: Mapping[str, Any]) -> Any:
    return len(axis["channel_names"]) if axis["type"] == "channel" else axis.get("size")


def package_model(package: OpenPackage, *, weights: str | None = None) -> Model:
    """The package as a model for prediction.

    Parameters
    ----------
    package : OpenPackage
        With one input and one output of equal spatial sizes.
    weights : str, optional
        "onnx" or "torchscript"; by default ONNX where there is one, which is faster on a processor.

    Raises
    ------
    ZooferryError
        The package has several tensors, or no weights of that kind.
    """
    if len(package.inputs) != 1 or len(package.outputs) != 1:
        counts = f"{len(package.inputs)} inputs and {len(package.outputs)} outputs"
        raise ZooferryError(f"{package.name}: {counts}; allowed is one of each")
    raw, restored = package.inputs[0], package.outputs[0]
    if raw.axes[:2] != ("batch", "channel") or restored.axes != raw.axes:
        raise ZooferryError(f"{package.name}: axes {', '.join(raw.axes)}; allowed are batch, channel, (z), y, x")
    sizes = [s if isinstance(s, Mapping) else {"min": int(s), "step": int(s)} for s in raw.sizes[2:]]
    return Model(
        name=package.name,
        axes=raw.axes,
        channels=int(raw.sizes[1]),
        step=tuple(int(s["step"]) for s in sizes),
        minimum=tuple(int(s["min"]) for s in sizes),
        halo=restored.halo[2:],
        preprocessing=raw.operations,
        postprocessing=restored.operations,
        network=load_weights(package, weights),
    )


def load_weights(package: OpenPackage, weights: str | None = None) -> Network:
    """The package's network as a function of a float32 batch B C (Z) Y X; see :func:`package_model`."""
    from zooferry.weights import load_onnx, load_torchscript

    loaders = {"onnx": load_onnx, "torchscript": load_torchscript}
    kind = weights or next((k for k in loaders if k in package.weights), "")
    if kind not in loaders or kind not in package.weights:
        present = ", ".join(package.weights) or "none"
        raise ZooferryError(f"{package.name}: no {weights or 'ONNX or TorchScript'} weights; present: {present}")
    return loaders[kind](package.weights[kind])


@contextmanager
def open_model(path: Path) -> Iterator[Model]:
    """A run folder, package folder or package zip as a model for prediction."""
    if (path / "run.json").is_file():
        from zooferry.runs import open_run

        yield open_run(path)
        return
    with open_package(path) as package:
        yield package_model(package)
