"""Python code that a package brings: never run unless the user trusts it, and never before its hash was verified.

Two things in a description are code: the architecture of a state dict (a file, or a name in an installed module,
which could be ``os.system``) and processing steps with the id ``custom``. The architecture file that this zooferry
ships is trusted, byte for byte.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zooferry.errors import ZooferryError
from zooferry.files import sha256

if TYPE_CHECKING:
    from zooferry.package import OpenPackage

NETWORKS = Path(__file__).parent / "networks"
UNETS = ("UNet", "LaplaceUNet", "LaplaceEnsemble", "ProjectionUNet", "IsotropicUNet")
SEGMENTATION = ("BorderUNet", "DenoiSegUNet", "StarUNet", "FlowUNet", "OneHeadStarUNet", "OneHeadFlowUNet")
SEQUENTIAL = ("SequentialBorderUNet", "SequentialStarUNet", "OneHeadSequentialStarUNet")
STAR_VOLUMES = ("StarVolumeUNet", "OneHeadStarVolumeUNet")
OWN_ARCHITECTURES = {  # callable -> the file that has it
    **dict.fromkeys([*UNETS, *[f"Percentile{name}" for name in UNETS]], NETWORKS / "unet.py"),
    "RCAN": NETWORKS / "rcan.py",
    **dict.fromkeys(SEGMENTATION, NETWORKS / "segmentation.py"),
    **dict.fromkeys(STAR_VOLUMES, NETWORKS / "star_volumes.py"),
    **dict.fromkeys(SEQUENTIAL, NETWORKS / "sequential.py"),
}
STATE_DICT = "pytorch_state_dict"


@dataclass(frozen=True)
class Architecture:
    """How a state dict becomes a network.

    Attributes
    ----------
    file : Path or None
        In the package; None if it is imported from `module`.
    module : str
    callable : str
    kwargs : dict
    sha256 : str
        Of `file` as rdf.yaml says, or "".
    """

    file: Path | None
    module: str
    callable: str
    kwargs: Mapping[str, Any]
    sha256: str

    @property
    def source(self) -> str:
        """As messages name it: the file, or module and name."""
        return self.file.name if self.file else f"{self.module}.{self.callable}"[:80]

    @property
    def is_own(self) -> bool:
        """Whether it is the very file that this zooferry ships."""
        own = OWN_ARCHITECTURES.get(self.callable)
        return bool(own and self.file and self.file.is_file() and sha256(self.file) == sha256(own))


def why_untrusted(package: OpenPackage, weights: str | None = None, *, trust_code: bool = False) -> str:
    """Why the package's code may not be run with these weights; empty if it brings none, or may.

    Parameters
    ----------
    package : OpenPackage
    weights : str, optional
        The architecture counts for ``pytorch_state_dict`` only; custom steps count for a host that runs them (None
        asks about neither's weights, thus about the steps alone).
    trust_code : bool
        What the user said; a file without a hash in rdf.yaml is refused even so.
    """
    sources = [step for tensor in (*package.inputs, *package.outputs) for step in tensor.operations]
    custom = [str(step.get("source") or step.get("callable"))[:80] for step in sources if step["id"] == "custom"]
    if custom and not trust_code:
        return f"this package brings code ({custom[0]}); run with --trust-code"
    architecture = package.architecture if weights == STATE_DICT else None
    if architecture is None or architecture.is_own:
        return ""
    if not trust_code:
        return f"this package brings code ({architecture.source}); run with --trust-code"
    if architecture.file and not architecture.sha256:
        return f"rdf.yaml gives no sha256 for {architecture.source}, so it cannot be verified; add one"
    return ""


def build_network(package: OpenPackage, *, trust_code: bool = False) -> Any:
    """The network of a state dict (a torch module), with its weights, in evaluation mode on the CPU.

    Raises
    ------
    ZooferryError
        Its code is not trusted, is not what its hash says, or fails; the weights do not fit, or hold more than
        tensors.
    """
    import torch

    from zooferry.package import weights_file
    from zooferry.package_description import require_hash

    refusal = why_untrusted(package, STATE_DICT, trust_code=trust_code)
    if refusal or package.architecture is None:
        raise ZooferryError(f"{package.name}: {refusal or 'rdf.yaml names no architecture for its state dict'}")
    if package.architecture.file:
        require_hash(package.architecture.file, package.architecture.sha256)
    file = weights_file(package, STATE_DICT)
    try:
        network = instantiate(package.architecture)
        network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
        return network.eval()
    except Exception as error:  # the package's own code may raise anything
        said = " ".join(str(error).split())[:300]
        raise ZooferryError(
            f"{package.name}: its state dict cannot be used ({type(error).__name__}: {said})"
        ) from error


def instantiate(architecture: Architecture) -> Any:
    """A network of code that is trusted, with fresh weights; the code may raise anything."""
    return getattr(_import(architecture), architecture.callable)(**architecture.kwargs)


def _import(architecture: Architecture) -> Any:
    if architecture.file is None:
        return importlib.import_module(architecture.module)
    spec = importlib.util.spec_from_file_location(f"architecture_{sha256(architecture.file)}", architecture.file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{architecture.file.name} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
