"""Networks of other labs in runs of our own: training starts from a package whose code the user trusts.

The architecture's file is copied beside the run's weights, and the hash of what was trusted is noted in the user's
home folder: a run folder from somewhere else, with code that was never trusted on this computer, is not opened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from zooferry.errors import ZooferryError
from zooferry.files import make_folder, sha256, write_atomically, write_text
from zooferry.trust import STATE_DICT, Architecture, build_network, instantiate

if TYPE_CHECKING:
    from zooferry.package import OpenPackage

TRUSTED = Path(".config") / "zooferry" / "trusted_code.txt"  # below the user's home; a hash per line


def is_foreign(network: Mapping[str, Any]) -> bool:
    """Whether run.json's entry ``network`` is of another lab's code."""
    return "code" in network


def open_foreign(package: OpenPackage) -> tuple[torch.nn.Module, dict[str, Any], bytes]:
    """The network of a package whose code the user trusts, run.json's entry for it, and its file's bytes.

    Raises
    ------
    ZooferryError
        Its architecture is no file of the package, it is no image to image network of free sizes, or its code fails.
    """
    from zooferry.package import package_model

    found = package.architecture
    if found is None or found.file is None:
        what = f"the installed module {found.source}" if found else f"{', '.join(package.weights) or 'no'} weights only"
        raise ZooferryError(
            f"{package.name}: training needs a state dict with the file of its architecture, the package has {what}; "
            "ask its authors for one, or train without --from"
        )
    network = build_network(package, trust_code=True)
    model = package_model(package, weights=STATE_DICT, trust_code=True)
    if model.fixed or len(model.outputs) > 1 or set(model.factors) != {1}:
        raise ZooferryError(
            f"{package.name}: it has fixed sizes, several outputs or one of another size; training starts from "
            "networks of one image to one image of the same size, of free sizes"
        )
    code = found.file.read_bytes()
    entry = {
        "architecture": f"{found.file.stem}.{found.callable}",
        "arguments": dict(found.kwargs),
        "code": {
            "source": found.file.name, "sha256": sha256(found.file), "step": list(model.step),
            "minimum": list(model.minimum), "halo": list(model.halo),
        },
    }  # fmt: skip
    return network, entry, code


def require_fitting(
    network: torch.nn.Module, name: str, shapes: tuple[tuple[int, ...], tuple[int, ...]], weights: Mapping[str, Any]
) -> None:
    """Refuse a network that does not take patches C (Z) Y X of the first shape and give such of the second.

    Raises
    ------
    ZooferryError
        It gives something else, or nothing; or it has no weights to train.
    """
    taken, wanted = shapes
    words = f"{name} does not turn patches of {taken} (C, space) into {wanted}"
    try:
        with torch.inference_mode():
            found = network(torch.zeros((1, *taken)))
    except Exception as error:  # a stranger's code may raise anything
        said = " ".join(str(error).split())[:200]
        raise ZooferryError(f"{words} ({said}); use fitting images, or another patch (--set patch=...)") from error
    if not isinstance(found, torch.Tensor) or tuple(found.shape) != (1, *wanted):
        gives = tuple(found.shape[1:]) if isinstance(found, torch.Tensor) else type(found).__name__
        raise ZooferryError(f"{words}: it gives {gives}; use images and targets with the channels that it was made for")
    if not weights:
        raise ZooferryError(f"{name} has no weights that could be trained; train without --from")


def remember(entry: Mapping[str, Any]) -> None:
    """Note that the user trusts this code."""
    digest = str(entry["code"]["sha256"])
    if digest not in _trusted():
        make_folder((Path.home() / TRUSTED).parent)
        write_text(Path.home() / TRUSTED, "\n".join([*_trusted(), digest]) + "\n")


def keep(code: bytes, entry: Mapping[str, Any], run: Path) -> None:
    """Write the architecture's file into a run folder."""
    write_atomically(source_file(entry, run), lambda temporary: temporary.write_bytes(code))


def _trusted() -> Sequence[str]:
    file = Path.home() / TRUSTED
    return file.read_text(encoding="utf-8").split() if file.is_file() else []


def build(network: Mapping[str, Any], run: Path) -> torch.nn.Module:
    """The network of a run folder that holds code, without its trained weights.

    Raises
    ------
    ZooferryError
        The file is another one, or was never trusted on this computer.
    """
    file = source_file(network, run)
    digest = str(network["code"]["sha256"])
    if not file.is_file() or sha256(file) != digest:
        raise ZooferryError(f"{run}: {file.name} is not the code that this run was trained with; train it again")
    if digest not in _trusted():
        raise ZooferryError(
            f"{run}: this run brings code ({file.name}) that was never trusted on this computer; "
            "train from its parent's package with --trust-code"
        )
    name = str(network["architecture"]).rpartition(".")[2]
    made: torch.nn.Module = instantiate(Architecture(file, "", name, network["arguments"], digest))
    return made


def source_file(network: Mapping[str, Any], run: Path) -> Path:
    """The architecture's file in a run folder."""
    return run / _plain_name(network["code"]["source"], run)


def _plain_name(name: Any, run: Path) -> str:
    if not str(name).endswith(".py") or Path(str(name)).name != name:
        raise ZooferryError(f"{run}: the architecture file {str(name)[:80]!r} has no plain name that ends in .py")
    return str(name)


def patch_shapes(sides: Sequence[int], channels: tuple[int, int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shapes C (Z) Y X of a patch of the images and of the targets."""
    return (channels[0], *sides), (channels[1], *sides)
