"""A run of StarDist or flows as a package whose one output is a label image, made by a step of the format itself.

bioimageio.core carries out these steps with the libraries stardist and cellpose, ImageJ and ``zooferry predict`` with
code of ours. Hosts that know no such step cannot use the package; the other kind gives them the network's heads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from zooferry.errors import ZooferryError
from zooferry.instance_steps import missing_library
from zooferry.instances.declaration import LABELS
from zooferry.methods.outputs import Output

NETWORKS = {"star_convex": "segmentation.OneHeadStarUNet", "flows": "segmentation.OneHeadFlowUNet"}
AFTER_DENOISER = {"star_convex": "sequential.OneHeadSequentialStarUNet"}
OF_VOLUMES = {"star_convex": "star_volumes.OneHeadStarVolumeUNet"}


def with_labels_step(content: Mapping[str, Any]) -> dict[str, Any]:
    """run.json's content with the network's outputs in one, and the format's step that makes labels of it.

    Raises
    ------
    ZooferryError
        The format has no step for what the run does, or none for its volumes.
    """
    said = content.get("instances") or {}
    if said.get("method") not in NETWORKS:
        raise ZooferryError(
            f"{content['method']}: the format has label steps for stardist and flows alone; leave --labels-step away"
        )
    networks = OF_VOLUMES if said.get("volume") else NETWORKS
    networks = AFTER_DENOISER if "denoiser" in content["network"]["arguments"] else networks
    if said["method"] not in networks:
        raise ZooferryError(
            f"the format has no label step for volumes of {content['method']}; leave --labels-step away"
        )
    step = (_stardist if said["method"] == "star_convex" else _cellpose)(content, said)
    output = Output(LABELS, "label image: a number for each object, 0 is background", "labels", postprocessing=(step,))
    entry = {**asdict(output), "postprocessing": [step]}
    network = {**content["network"], "architecture": networks[said["method"]]}
    rest = {key: value for key, value in content.items() if key != "instances"}
    return {**rest, "network": network, "outputs": [entry], "whole_images": True, "labels_step": step["id"]}


def with_repeated_heads(content: Mapping[str, Any]) -> dict[str, Any]:
    """run.json's content with heads of the image's size where those of the network are on a coarser grid.

    JDLL 0.6.3, and so deepImageJ, takes outputs of other sizes than the image for larger ones.
    """
    said = content.get("instances") or {}
    if max(said.get("grid", [1])) == 1:
        return dict(content)
    arguments = {**content["network"]["arguments"], "repeated": True}
    network = {**content["network"], "arguments": arguments}
    return {**content, "network": network, "instances": {**said, "repeated": True}}


def _stardist(content: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    kwargs = {
        "prob_threshold": said["prob_thresh"], "nms_threshold": said["nms_thresh"], "grid": list(said["grid"]),
        "n_rays": content["network"]["arguments"]["rays"], "b": said.get("border", 2),
    }  # fmt: skip
    if said.get("volume"):
        kwargs["anisotropy"] = list(said["anisotropy"])
    return {"id": "stardist_postprocessing", "kwargs": kwargs}


def _cellpose(_: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    kwargs = {
        "cellprob_threshold": said["prob_thresh"], "flow_threshold": said["flow_thresh"], "do_3D": False,
        "min_size": said.get("min_size", 15),
    }  # fmt: skip
    return {"id": "cellpose_flow_dynamics", "kwargs": kwargs}


def why_unchecked(content: Mapping[str, Any]) -> str:
    """Why bioimageio.core cannot reproduce the package on this computer, in words; empty if it can."""
    library = missing_library(str(content.get("labels_step", "")))
    return f"its step {content['labels_step']} needs the library {library}, which is not installed" if library else ""


def require_objects(labels: np.ndarray, run: Path) -> None:
    """Refuse a test image without any object, which the format does not take.

    Raises
    ------
    ZooferryError
        All labels are 0.
    """
    if not labels.any():
        raise ZooferryError(f"{run}: the network finds no object in the test image; give another with --example IMAGE")
