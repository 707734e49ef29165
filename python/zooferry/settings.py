"""Settings of a training run: a few frozen values, checked in one place, unknown keys refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from zooferry.errors import ZooferryError
from zooferry.files import read_yaml
from zooferry.recipes import read_recipe


@dataclass(frozen=True)
class Settings:
    """Settings that every method has.

    Attributes
    ----------
    dims : int
        Spatial axes of the network; 0 chooses 3 if every image has a z axis, else 2.
    patch : int
        Side of the training patches in y and x, pixels.
    patch_z : int
        Their depth in slices (3D only).
    batch : int
        Patches per training step; 0 chooses 4 in 2D and 1 in 3D, where a patch holds 16 times as many pixels.
    steps : int
        Training steps; with a time budget, whichever ends first. 0 is no limit, for a time budget alone.
    validate_every : int
        Steps between two validations.
    patience : int
        Stop after this many validations without a better validation loss; 0 never stops early.
    learning_rate : float
        Highest rate of AdamW; reached after `warmup` steps, then a half cosine down to 1 %.
    warmup : int
        Steps of linear warm-up.
    weight_decay : float
        Of AdamW.
    clip : float
        Largest norm of a step's gradient, longer ones are shortened to it; 0 takes them as they are.
    validation_fraction : float
        Part of the images (never of the patches) kept for validation. One image gives its last rows instead.
    augment : bool
        Flips and quarter turns in the y-x plane.
    intensity : float
        Every patch is multiplied by e to a power between minus and plus this, and shifted by up to a third of this (in
        normalised units), its target alike.
    width, depth, kernel : int
        Of the U-Net: feature channels of the first level, number of halvings, side of the kernels.
    freeze : int
        Encoder levels that stay as they are in a run that starts from another (`zooferry.transfer`).
    precision : str
        Of Lightning Fabric: "32-true", "bf16-mixed" or "16-mixed" (GPU).
    seed : int
        Of everything that is random.
    """

    dims: int = 0
    patch: int = 64
    patch_z: int = 16
    batch: int = 0
    steps: int = 2000
    validate_every: int = 50
    patience: int = 0
    learning_rate: float = 2e-3
    warmup: int = 20
    weight_decay: float = 1e-4
    clip: float = 0.0
    validation_fraction: float = 0.1
    augment: bool = True
    intensity: float = 0.0
    width: int = 16
    depth: int = 2
    kernel: int = 3
    freeze: int = 0
    precision: str = "32-true"
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values that cannot work.

        Raises
        ------
        ZooferryError
            The first value that is out of its range.
        """
        limits: Mapping[str, tuple[float, float]] = {
            "patch": (8, 4096), "patch_z": (1, 1024), "batch": (0, 4096), "steps": (0, 10**9),
            "validate_every": (1, 10**9), "patience": (0, 10**9), "learning_rate": (1e-8, 10.0),
            "warmup": (0, 10**9), "weight_decay": (0, 1.0), "validation_fraction": (0, 0.9), "width": (1, 1024),
            "intensity": (0, 2), "clip": (0, 1e6), "depth": (1, 6), "kernel": (1, 15), "seed": (0, 2**32 - 1),
            "freeze": (0, 64),
        }  # fmt: skip
        for name, (low, high) in limits.items():
            self._require(name, low <= getattr(self, name) <= high, f"{low} to {high}")
        self._require("dims", self.dims in (0, 2, 3), "2, 3, or 0 to choose from the images")
        self._require("kernel", self.kernel % 2 == 1, "an odd number of pixels")
        precisions = ("32-true", "bf16-mixed", "16-mixed")
        self._require("precision", self.precision in precisions, ", ".join(precisions))
        for name in self.halved:
            step = 2**self.depth
            self._require(name, getattr(self, name) % step == 0, f"a multiple of {step} (2 to the power of depth)")

    @property
    def halved(self) -> tuple[str, ...]:
        """The lengths that the U-Net halves `depth` times."""
        return ("patch", "patch_z")

    @property
    def patches_per_step(self) -> int:
        """Patches that a training step draws; the ensembles of a method draw a batch for each member."""
        return self.batch

    def _require(self, name: str, fine: bool, allowed: str) -> None:
        if not fine:
            raise ZooferryError(f"setting {name} is {getattr(self, name)}; allowed: {allowed}")


S = TypeVar("S", bound=Settings)
AUTOMATIC_BATCH = {2: 4, 3: 1}


def build_settings(kind: type[S], values: Mapping[str, Any]) -> S:
    """Settings of one method from its defaults and the user's values.

    Raises
    ------
    ZooferryError
        An unknown key (the allowed ones are listed) or a value of another type.
    """
    fields = {f.name: f for f in dataclasses.fields(kind)}
    unknown = sorted(set(values) - set(fields))
    if unknown:
        raise ZooferryError(f"unknown setting {', '.join(unknown)}; allowed: {', '.join(sorted(fields))}")
    return kind(**{key: _converted(key, value, type(fields[key].default)) for key, value in values.items()})


def _converted(key: str, value: Any, kind: type) -> Any:
    text = value if isinstance(value, str) else None
    if kind is type(None):
        return _names_with_values(key, value)
    try:
        if kind is bool:
            if isinstance(value, bool):
                return value
            return {"true": True, "false": False}[str(value).lower()]
        if kind is int:
            number = float(value) if text is None else float(text)
            if number != int(number) or isinstance(value, bool):
                raise ValueError
            return int(number)
        return kind(value)
    except (ValueError, TypeError, KeyError, OverflowError):
        raise ZooferryError(f"setting {key} is {value!r}; allowed: a value of type {kind.__name__}") from None


def _names_with_values(key: str, value: Any) -> Mapping[str, Any] | None:
    if value and not isinstance(value, Mapping):
        raise ZooferryError(f"setting {key} is {value!r}; allowed: names with values, as in {{name: value}}")
    return value or None


def target_factors(settings: Settings) -> dict[str, int]:
    """How many times more pixels the targets have than the images, by axis; 0: no such axis. Left out where it is 1."""
    lateral, axial = (int(getattr(settings, name, 1)) for name in ("upscale", "upscale_z"))
    return {axis: f for axis, f in (("z", axial), ("y", lateral), ("x", lateral)) if f != 1}


def read_settings(file: Path | None, assignments: Sequence[str], *, recipe: str | None = None) -> dict[str, Any]:
    """Values of a recipe, overridden by a YAML file, overridden by ``key=value`` assignments.

    A key may have dots: ``degrade.photons=20`` sets the ``photons`` in ``degrade`` and keeps the rest of it.

    Raises
    ------
    ZooferryError
        No such recipe; the file cannot be read or is no mapping; an assignment has no "=".
    """
    values = {} if recipe is None else read_recipe(recipe)
    values = nested(values, {} if file is None else read_yaml(file, "steps: 1000"))
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise ZooferryError(f"--set {assignment}: no '='; write --set key=value")
        values = nested(values, {key.strip(): yaml.safe_load(value) if value else ""})
    return values


def nested(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """`first` overridden by `second`, whose keys may have dots: ``psf.kind`` is the ``kind`` in ``psf``."""
    result = dict(first)
    for key, value in second.items():
        outer, dot, inner = key.partition(".")
        within = result.get(outer)
        result[outer] = nested(within if isinstance(within, Mapping) else {}, {inner: value}) if dot else value
    return result


def with_batch(settings: S, dims: int) -> S:
    """The settings with the batch chosen where it is 0."""
    return settings if settings.batch else dataclasses.replace(settings, batch=AUTOMATIC_BATCH[dims])


def changed_settings(settings: Settings) -> dict[str, Any]:
    """Those that differ from the method's defaults."""
    return {f.name: v for f in dataclasses.fields(settings) if (v := getattr(settings, f.name)) != f.default}
