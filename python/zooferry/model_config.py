"""The section ``config.bioimageio`` of a package: what the run knows about itself, and what the card adds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zooferry import methods, run_folder
from zooferry.card import CONFIG_FIELDS
from zooferry.files import read_json
from zooferry.foreign import is_foreign
from zooferry.settings import Settings
from zooferry.trained import build_trained_network
from zooferry.training import patch_sides

LOSSES = {
    "n2v": "mean squared error at masked pixels",
    "care": "mean absolute error",
    "rcan": "mean absolute error",
    "n2n": "mean squared error",
    "projection": "mean absolute error",
    "isotropic": "mean absolute error",
}
LOSSES |= {
    "unet": "cross-entropy of background, object and border, the border weighted",
    "denoiseg": "mean squared error at masked pixels and cross-entropy of background, object and border",
    "stardist": "binary cross-entropy of the probability and mean absolute error of the distances, weighted with it",
    "flows": "mean squared error of the flows and binary cross-entropy of being inside an object",
}
SEGMENTING = {
    "segmentation.BorderUNet": (
        "U-Net of three classes",
        "U-Net of depth {depth} and width {width}, softmax of 3 classes",
    ),
    "segmentation.DenoiSegUNet": (
        "U-Net of image and classes",
        "U-Net of depth {depth} and width {width}, a denoised image and softmax of 3 classes",
    ),
    "segmentation.StarUNet": (
        "star-convex U-Net",
        "U-Net of depth {depth} and width {width} with a grid of {grid} pixels, probability and {rays} distances",
    ),
    "segmentation.StarVolumeUNet": (
        "star-convex U-Net",
        "U-Net of depth {depth} and width {width} with a grid of {grid} pixels, probability and {rays} distances",
    ),
    "segmentation.FlowUNet": (
        "residual U-Net",
        "residual U-Net of depth {depth} and width {width} with batch normalisation{styled}, flows and a logit",
    ),
}
LAPLACE = "negative log likelihood of a Laplace distribution for every pixel"


def describe(run: Path, content: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of ``config.bioimageio``.

    Parameters
    ----------
    run : Path
        Run folder.
    content : mapping
        run.json.
    said : mapping
        The card's fields; they win.
    """
    settings = run_folder.read_run_settings(run, methods.load(content["method"]).SETTINGS)
    environment = read_json(run / "environment.json")
    known: dict[str, Any] = {
        **_architecture(content["network"], int(content["dims"])),
        "task": "instance segmentation" if "instances_score" in content else "denoising",
        "model_parameter_count": sum(p.numel() for p in build_trained_network(run).parameters()),
        "new_version": None,
        "reproducibility_tolerance": [],
        "evaluations": [],
        "inference_time": f"{content.get('inference_seconds', 0):.2g} s for the test input, {environment['machine']}",
        "training": _training(content, settings, read_json(run / "data.json")),
    }
    impact = {"hardware_type": environment["machine"], "hours_used": _hours(content)}
    fields = known | {k: v for k, v in said.items() if k in CONFIG_FIELDS}
    return fields | {"environmental_impact": impact | dict(said.get("environmental_impact") or {})}


def _architecture(network: Mapping[str, Any], dims: int) -> dict[str, str]:
    a = network["arguments"]
    if is_foreign(network):
        name = network["architecture"].rpartition(".")[2]
        said = f"{name} of the model that training started from; see {network['code']['source']}"
        return {"architecture_type": f"{dims}D {name}"[:32], "architecture_description": said}
    file, _, name = network["architecture"].partition(".")
    plain = f"segmentation.{name.replace('OneHead', '').replace('Sequential', '')}"
    if plain in SEGMENTING:
        kind, words = SEGMENTING[plain]
        said = words.format(**a, styled=" and style" if a.get("style") else "")
        said += ", averaged over the image and its three mirror images" if a.get("mirrored") else ""
        if "denoiser" in a:
            said = "denoising U-Net of depth {depth} and width {width}, then a ".format(**a["denoiser"]) + said
        return {"architecture_type": f"{dims}D {kind}", "architecture_description": f"{said}; see {file}.py"}
    kind, words = "U-Net", "U-Net of depth {depth} and width {width} without normalisation layers"
    if network["architecture"] == "rcan.RCAN":
        kind = "RCAN"
        words = (
            "residual channel attention network: {num_residual_groups} groups of {num_residual_blocks} blocks, "
            "{num_channels} channels, channel reduction {channel_reduction_ratio}"
        )
    if "projection_depth" in a:
        kind = "projection U-Net"
        words = (
            "U-Net of depth {projection_depth} and width {projection_width} that weighs the slices for a projection, "
            f"then a {words}"
        )
    if "factor" in a:
        kind = "isotropic U-Net"
        words = f"linear interpolation along z, then a 2D {words} on all sections z-x and z-y, averaged"
    if "Laplace" in network["architecture"]:
        kind, words = f"probabilistic {kind}", f"{words}, predicting mean and scale of a Laplace distribution"
    if "members" in a:  # the format allows 32 letters for the kind
        kind, words = f"ensemble of {a['members']} U-Nets", f"{a['members']} times: {words}"
    skip = "residual" if a["residual"] else "not residual"
    said = f"{words.format(**a)}, {skip}; see {network['architecture'].partition('.')[0]}.py"
    return {"architecture_type": f"{dims}D {kind}", "architecture_description": said}


def _training(content: Mapping[str, Any], settings: Settings, files: list[dict[str, Any]]) -> dict[str, Any]:
    steps = [operation["id"] for operation in content["preprocessing"] if operation["id"] != "ensure_dtype"]
    augmentation = "flips and quarter turns" if settings.augment else "no augmentation"
    return {
        "training_preprocessing": f"{', '.join(steps)}; random patches; {augmentation}",
        "training_epochs": _epochs(content, settings, files),
        "training_batch_size": settings.patches_per_step,
        "initial_learning_rate": settings.learning_rate,
        "learning_rate_schedule": "linear warm-up, then a half cosine down to 1 %",
        "loss_function": LAPLACE if getattr(settings, "probabilistic", False) else LOSSES[content["method"]],
        "loss_function_kwargs": {},
        "optimizer": "torch.optim.AdamW",
        "optimizer_kwargs": {"weight_decay": settings.weight_decay, "betas": [0.9, 0.99]},
        "regularization": f"weight decay {settings.weight_decay:g}",
        "training_duration": _hours(content),
    }


def _epochs(content: Mapping[str, Any], settings: Settings, files: list[dict[str, Any]]) -> float:
    """How often the training pixels were seen on average."""
    seen = content.get("steps", 0) * settings.patches_per_step * math.prod(patch_sides(settings, int(content["dims"])))
    pixels = sum(math.prod(f["shape"]) for f in files if f["role"] == "training") / int(content["channels"][0])
    return float(round(seen / pixels, 2))


def _hours(content: Mapping[str, Any]) -> float:
    return round(float(content.get("seconds", 0.0)) / 3600, 5)
