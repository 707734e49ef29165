"""Start training from the weights of a run or a package: fine-tuning and transfer.

What defines the network is taken over from the parent, so are the percentiles of its normalisation; everything else is
the new run's own. Noise2Void and Noise2Noise take mean and standard deviation of the new images. Of a package only
tensors are read, never its code, where its weights fit one of our own networks. Another network comes with its code,
which is run where the user trusts it (see `zooferry.foreign`); its images are scaled as the method says, with the
percentiles of the parent where it has some.

A U-Net for segmentation can also start from one that restores images, such as that of Noise2Void (Prakash 2020,
VoidSeg, "finetune"): it takes over all weights that fit, and the normalisation they were trained with.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from zooferry import foreign, run_folder
from zooferry.architectures import ARCHITECTURES, build, name_of
from zooferry.denoisers import fitting, take_what_fits
from zooferry.errors import ZooferryError
from zooferry.files import sha256
from zooferry.methods.segmentation import SegmentationSettings
from zooferry.methods.tensors import fitting_layout
from zooferry.networks.segmentation import SegmentationUNet
from zooferry.normalization import Operation
from zooferry.package import OpenPackage, open_package, weights_file
from zooferry.settings import Settings, build_settings
from zooferry.trust import STATE_DICT

SLOWER = 0.25  # part of the method's learning rate where nothing else is said
INSIDE = ("low", "high", "eps", "each")  # arguments of a network that normalises by itself
CLASSES = {name.partition(".")[2]: name for name in ARCHITECTURES}
LATER = ("mirrored",)  # arguments that change how a network predicts, and none of its weights
FREE = ("residual", *LATER)
WORDS = {"in_channels": "channels of the images", "out_channels": "channels of the targets", "dims": "spatial axes"}
LEVEL = re.compile(r"(?:^|\.)(?:down|groups)\.(\d+)\.")  # the encoder levels of U-Nets, the groups of RCAN
BEFORE = re.compile(r"^first\.")  # what lies before RCAN's groups


@dataclass(frozen=True, eq=False)
class Parent:
    """Where a run starts from.

    Attributes
    ----------
    name, id, sha256 : str
        Name of the run or package, its id in a collection or "", and the hash of its weights (run) or zip.
    architecture : str
        Key of `ARCHITECTURES`.
    arguments : mapping
        Of the network.
    weights : mapping
        State dict.
    percentiles : tuple of float
        Low and high of its normalisation; () where it scales by fixed numbers.
    preprocessing : tuple of Operation
        Of its images; () where its network does that by itself.
    rescaling : tuple, optional
        Of a denoiser that was a part of a sequential network: gain and offset after it, by channel.
    network : Module, optional
        Of another lab, with its weights.
    code : bytes
        The file of its architecture.
    entry : mapping
        What run.json says of it, see `foreign.open_foreign`.
    """

    name: str
    id: str
    sha256: str
    architecture: str
    arguments: Mapping[str, Any]
    weights: Mapping[str, torch.Tensor]
    percentiles: tuple[float, ...] = ()
    preprocessing: tuple[Operation, ...] = ()
    rescaling: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    network: torch.nn.Module | None = None
    code: bytes = b""
    entry: Mapping[str, Any] = field(default_factory=dict)

    @property
    def restores(self) -> bool:
        """Whether it is a plain U-Net that gives one image, which a segmentation can start from or follow."""
        return self.architecture == "unet.UNet" and bool(self.preprocessing)

    @property
    def is_sequential(self) -> bool:
        """Whether it is a denoiser and a segmentation in one."""
        return self.architecture.startswith("sequential.")

    def to_json(self) -> dict[str, str]:
        """The entry ``parent`` of run.json."""
        return {"name": self.name, "id": self.id, "sha256": self.sha256}

    def settings(self, kind: type[Settings], values: Mapping[str, Any]) -> dict[str, Any]:
        """The user's values with what the parent decides, and a lower learning rate where none is given.

        Raises
        ------
        ZooferryError
            A value contradicts the parent's network.
        """
        given = build_settings(kind, values)
        fields = kind.__dataclass_fields__
        other = self.restores and issubclass(kind, SegmentationSettings)
        own = {} if self.network is not None else fitting(self.arguments, given) if other else self.arguments
        decided = {key: value for key, value in own.items() if key in fields and key not in FREE}
        if "probabilistic" in fields:
            decided["probabilistic"] = "Laplace" in self.architecture
        for key, value in decided.items():
            if key in values and getattr(given, key) != value:
                raise ZooferryError(
                    f"setting {key} is {getattr(given, key)}, in {self.name} it is {value} and cannot be changed; "
                    f"leave --set {key}=... away, or train without --from"
                )
        scaled = dict(zip(("low", "high"), self.percentiles, strict=False)) if {"low", "high"} <= set(fields) else {}
        rate = {} if other else {"learning_rate": SLOWER * kind().learning_rate}
        later = {key: own[key] for key in LATER if key in own and key in fields}
        return {**rate, **scaled, **later, **values, **decided}


def open_parent(path: Path, *, trust_code: bool = False) -> Parent:
    """The weights of a run folder, package folder or package zip, and what network they are of.

    Raises
    ------
    ZooferryError
        Neither; nothing was trained yet; or a network that is none of ours, whose code is not trusted.
    """
    if (path / run_folder.RUN_FILE).is_file():
        return _of_run(path)
    with open_package(path) as package:
        return _of_package(package, trust_code=trust_code)


def _of_run(run: Path) -> Parent:
    content = run_folder.read_run(run)
    weights = run / "best.pt"
    if not weights.is_file():
        raise ZooferryError(f"{run}: no trained weights yet, so that nothing can start from it; train it first")
    network = content["network"]
    state = torch.load(weights, weights_only=True, map_location="cpu")
    made = None
    if foreign.is_foreign(network):
        made = build(network, run)
        made.load_state_dict(state)
    return Parent(
        name=run.resolve().name,
        id="",
        sha256=sha256(weights),
        architecture=network["architecture"],
        arguments=network["arguments"],
        weights=state,
        percentiles=_percentiles(content["preprocessing"]),
        preprocessing=tuple(content["preprocessing"]),
        network=made,
        code=b"" if made is None else foreign.source_file(network, run).read_bytes(),
        entry=network,
    )


def _of_package(package: OpenPackage, *, trust_code: bool) -> Parent:
    found = package.architecture
    plain = (found.callable if found else "").removeprefix("Percentile")
    if found is not None and plain not in CLASSES and trust_code:
        return _of_foreign(package)
    if found is None or plain not in CLASSES:
        kinds = ", ".join(name for name in CLASSES if not name.startswith("Percentile"))
        has = (
            f"its state dict is of {found.source}" if found else f"it has {', '.join(package.weights) or 'no'} weights"
        )
        raise ZooferryError(
            f"{package.name}: training can start from state dicts of zooferry's own networks ({kinds}), and with "
            f"--trust-code of others whose architecture is in the package; {has}. "
            "TorchScript and ONNX are used, not trained, here; train without --from"
        )
    weights = torch.load(weights_file(package, STATE_DICT), weights_only=True, map_location="cpu")
    arguments = dict(found.kwargs)
    inside = tuple(float(arguments[key]) for key in ("low", "high") if found.callable != plain and key in arguments)
    arguments = {key: value for key, value in arguments.items() if found.callable == plain or key not in INSIDE}
    arguments.pop("repeated", None)  # of a package's heads, not of a run's
    return Parent(
        name=package.name,
        id=str(package.content.get("id") or ""),
        sha256=package.sha256,
        architecture=CLASSES[plain.removeprefix("OneHead")],  # of a package with a label step; the same weights
        arguments=arguments,
        weights=weights,
        percentiles=inside or _percentiles(package.inputs[0].operations),
        preprocessing=() if inside else package.inputs[0].operations,
    )


def _of_foreign(package: OpenPackage) -> Parent:
    network, entry, code = foreign.open_foreign(package)
    return Parent(
        name=package.name,
        id=str(package.content.get("id") or ""),
        sha256=package.sha256,
        architecture=entry["architecture"],
        arguments=entry["arguments"],
        weights=network.state_dict(),
        percentiles=_percentiles(package.inputs[0].operations),
        network=network,
        code=code,
        entry=entry,
    )


def _percentiles(operations: Any) -> tuple[float, ...]:
    for step in operations:
        if step["id"] == "scale_range" and "min_percentile" in step["kwargs"]:
            return float(step["kwargs"]["min_percentile"]), float(step["kwargs"]["max_percentile"])
    return ()


def take_over(
    parent: Parent,
    network: torch.nn.Module,
    arguments: Mapping[str, Any],
    patch: tuple[tuple[int, ...], tuple[int, ...]],
) -> tuple[torch.nn.Module, dict[str, Any]]:
    """The parent's network with its weights, and run.json's entry for it, in place of the fresh network of a method.

    `patch` is the shape C (Z) Y X of a patch of the images and of the targets.

    Raises
    ------
    ZooferryError
        It is another kind of network, takes or gives other channels, or its weights do not fit.
    """
    if parent.network is not None:
        foreign.require_fitting(parent.network.eval(), parent.name, patch, parent.weights)
        return parent.network.train(), dict(parent.entry)
    if parent.restores and isinstance(network, SegmentationUNet):
        take_what_fits(parent.weights, parent.arguments, network, name=parent.name)
        return network, {"architecture": name_of(network), "arguments": dict(arguments)}
    if name_of(network) != parent.architecture:
        raise ZooferryError(
            f"{parent.name} is a {_kind(parent.architecture)}, this method trains a {_kind(name_of(network))} with "
            "these settings; choose the method that it was trained with, or train without --from"
        )
    own = {key: value for key, value in parent.arguments.items() if key not in FREE}
    for key, value in arguments.items():
        if key in own and own[key] != value:
            raise ZooferryError(
                f"{parent.name} was trained with {WORDS.get(key, key)}: {own[key]}, here it is {value}; "
                "both must be equal, or train without --from"
            )
    kept = {key: value for key, value in parent.arguments.items() if key not in LATER}
    later = {key: value for key, value in arguments.items() if key in LATER}
    entry = {"architecture": parent.architecture, "arguments": {**kept, **later}}
    return rebuilt(entry, parent), entry


def rebuilt(network: Mapping[str, Any], parent: Parent | None = None) -> torch.nn.Module:
    """A network as run.json describes it, with the weights of a parent.

    Raises
    ------
    ZooferryError
        The weights are not those of such a network.
    """
    kind, arguments = ARCHITECTURES[network["architecture"]], network["arguments"]
    if parent is not None:
        try:
            with torch.device("meta"):  # nothing is allocated for what a stranger describes before it was compared
                expected = {name: tuple(value.shape) for name, value in kind(**arguments).state_dict().items()}
            if expected != {name: tuple(value.shape) for name, value in parent.weights.items()}:
                raise ValueError("other names or shapes")
        except (RuntimeError, AttributeError, TypeError, ValueError) as error:
            said = " ".join(str(error).split())[:200]
            raise ZooferryError(
                f"{parent.name}: its weights do not fit the network that it describes ({said})"
            ) from error
    found: torch.nn.Module = kind(**arguments)
    if parent is not None:
        found.load_state_dict(dict(parent.weights))
    return fitting_layout(found, int(arguments.get("dims", 2)))


def freeze(network: torch.nn.Module, levels: int) -> None:
    """Keep the first `levels` encoder levels (of RCAN: the first groups, and what lies before them) as they are.

    Raises
    ------
    ZooferryError
        The network has fewer.
    """
    numbers = {name: int(found[1]) for name, _ in network.named_parameters() if (found := LEVEL.search(name))}
    most = max(numbers.values(), default=-1) + 1
    if levels > most:
        raise ZooferryError(f"setting freeze is {levels}; this network has {most} levels that can be kept as they are")
    for name, parameter in network.named_parameters():
        if (levels and BEFORE.match(name)) or numbers.get(name, levels) < levels:
            parameter.requires_grad_(False)


def resumed(parent: Parent | None, network: torch.nn.Module, content: Mapping[str, Any], run: Path) -> torch.nn.Module:
    """The network of a run that goes on, as it was built at its start; `content` is its run.json.

    Raises
    ------
    ZooferryError
        A parent is given that is not the one which the run started from.
    """
    if parent is not None and parent.sha256 != (content.get("parent") or {}).get("sha256"):
        raise ZooferryError(f"this run did not start from {parent.name}; leave --from away when resuming")
    if foreign.is_foreign(content["network"]):
        return build(content["network"], run)
    return rebuilt(content["network"]) if content.get("parent") or content.get("denoiser") else network


def _kind(architecture: str) -> str:
    return architecture.partition(".")[2]


def described(content: Mapping[str, Any], own: str | None) -> dict[str, Any] | None:
    """The field ``parent`` of rdf.yaml: a model of a collection.

    None where the parent has no id, there is none, or the new model has the same id (`own`), which the format forbids.
    """
    named = str((content.get("parent") or {}).get("id") or "")
    return {"id": named} if named and named != own else None
