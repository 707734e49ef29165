"""What people must say about a model: authors, licence, tags ... read from card.yaml, with honest defaults."""

from __future__ import annotations

import getpass
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zooferry.errors import ZooferryError
from zooferry.files import make_folder, read_yaml, write_text

DESCRIPTION_FIELDS = (
    "id", "name", "description", "authors", "cite", "license", "tags", "uploader", "maintainers", "git_repo",
    "version", "version_comment", "training_data", "links", "id_emoji",
)  # fmt: skip
CONFIG_FIELDS = (
    "modality", "target_structure", "task", "funded_by", "out_of_scope_use", "bias_risks_limitations",
    "inference_time", "memory_requirements_inference", "memory_requirements_training", "environmental_impact",
    "evaluations",
)  # fmt: skip


def read_card(path: Path | None) -> dict[str, Any]:
    """The fields of a card file, {} without one.

    Raises
    ------
    ZooferryError
        The file cannot be read, or holds a field that no card has.
    """
    if path is None:
        return {}
    content = read_yaml(path, "license: CC-BY-4.0")
    unknown = sorted(set(content) - {*DESCRIPTION_FIELDS, *CONFIG_FIELDS})
    if unknown:
        allowed = ", ".join((*DESCRIPTION_FIELDS, *CONFIG_FIELDS))
        raise ZooferryError(f"{path}: unknown field {', '.join(unknown)}; allowed: {allowed}")
    return content


def write_template(path: Path) -> None:
    """Write the commented card to fill in.

    Raises
    ------
    ZooferryError
        The file exists, or cannot be written.
    """
    if path.exists():
        raise ZooferryError(f"{path} exists already; choose another name for the new card")
    template = Path(__file__).parent / "templates" / "card.yaml"
    make_folder(path.parent)
    write_text(path, template.read_text(encoding="utf-8"))


def demo_card(path: Path, kind: str) -> Path:
    """Write the card of the demo's packages for one kind of method ("CARE")."""
    template = Path(__file__).parent / "templates" / "demo_card.yaml"
    write_text(path, template.read_text(encoding="utf-8").replace("METHOD", kind))
    return path


def complete_card(
    card: Mapping[str, Any], *, title: str, paper: str, dims: int, method: str, labels: bool = False
) -> dict[str, Any]:
    """The description's fields: the card's where it has them, else what the run knows.

    Parameters
    ----------
    card : mapping
        From :func:`read_card`.
    title, paper : str
        Of the method; the paper ends with its DOI.
    dims : int
    method : str
    labels : bool
        Whether it segments.
    """
    text, _, doi = paper.rpartition(", doi:")
    kind = title.partition(":")[0]
    task, verb = ("segmentation", "Finds the objects in") if labels else ("restoration", "Restores")
    tasks = ["segmentation", "instance-segmentation"] if labels else ["denoising", "restoration"]
    defaults: dict[str, Any] = {
        "name": f"{kind} {dims}D {task}",
        "description": f"{verb} fluorescence microscopy images in {dims}D ({title}).",
        "authors": [{"name": getpass.getuser()}],
        "cite": [{"text": text, "doi": doi}],
        "license": "CC-BY-4.0",
        "tags": [method, *tasks, "fluorescence-light-microscopy", f"{dims}d", "unet", "zooferry"],
        "version": "0.1.0",
    }
    fields = defaults | {k: v for k, v in card.items() if k in DESCRIPTION_FIELDS}
    fields["tags"] = list(dict.fromkeys([*fields["tags"], *defaults["tags"]]))
    slug = re.sub(r"[^a-z0-9]+", "-", str(fields["name"]).lower()).strip("-")
    return {"id": slug} | fields
