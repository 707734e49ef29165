"""A training run and a card -> a bioimage.io package: written under a temporary name, reopened, checked, renamed."""

from __future__ import annotations

import datetime
import os
import re
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zooferry import __version__, axes, covers, methods, model_config, model_readme, run_folder
from zooferry.architectures import source_file
from zooferry.card import complete_card, read_card
from zooferry.errors import ZooferryError
from zooferry.files import make_folder, read_json, write_atomically
from zooferry.label_step import require_objects, why_unchecked, with_labels_step, with_repeated_heads
from zooferry.methods.outputs import read_outputs
from zooferry.package import open_package
from zooferry.packaged_tensors import INPUT, describe_input, describe_outputs, described_halo, write_example
from zooferry.trained import baked, build_trained_network, geometry
from zooferry.transfer import described

FORMAT = "0.5.10"  # the last in which documentation and covers may be plain names, which is all that JDLL reads
OTHER_FORMATS = ("keras_hdf5", "keras_v3", "tensorflow_js", "tensorflow_saved_model_bundle")  # said to be absent
LEAST_BITS, MOST_BITS = 8, 24
Say = Callable[[str], None]


def package_run(
    run: Path,
    out: Path,
    *,
    card: Path | None,
    say: Say,
    bake: bool = False,
    example: Path | None = None,
    labels_step: bool = False,
    bits: int | None = None,
) -> Path:
    """Package a run.

    Parameters
    ----------
    run : Path
        Run folder of ``zooferry train``.
    out : Path
        The zip to write; an existing one is replaced at the very end.
    card : Path, optional
        YAML file with what people must say about the model.
    say : callable
        Gets the progress line by line.
    bake : bool
        Put the percentile normalisation inside the network, for hosts whose percentiles differ.
    example : Path, optional
        Image for the test tensors, the samples and the cover, instead of a part of a validation image: where those
        must not be passed on, or to make the package smaller.
    labels_step : bool
        One output of labels, made by a step of the format, instead of heads; see `zooferry.label_step`.
    bits : int, optional
        Significant bits that the weights keep, 8 to 24: 8 make the zip about half as large.

    Returns
    -------
    Path
        `out`, after it was reopened and passed the official check.

    Raises
    ------
    ZooferryError
        The run is not usable, the card is wrong, written weights disagree, or the official check fails; then
        nothing is left at `out`.
    """
    if out.suffix != ".zip":
        raise ZooferryError(f"{out}: a package is a zip; choose a name that ends in .zip")
    content = _prepared(run, bake=bake, labels_step=labels_step, bits=bits)
    said = read_card(card)
    make_folder(out.parent)
    with tempfile.TemporaryDirectory(prefix="zooferry-") as scratch:
        parts = Path(scratch) / "parts"
        parts.mkdir()
        say("writing weights: state dict, TorchScript, ONNX; comparing each with the network")
        folder = _save(_write_parts(run, parts, content, said, example), parts, Path(scratch) / "package")
        archive = Path(scratch) / "package.zip"
        write_zip(folder, archive)
        _reopen(archive, content, say)
        write_atomically(out, lambda temporary: shutil.copyfile(archive, temporary))
    return out


def _prepared(run: Path, *, bake: bool, labels_step: bool, bits: int | None) -> dict[str, Any]:
    """run.json's content as it is packaged."""
    content = run_folder.read_run(run)
    if bake:
        content = baked(content)
    content = with_labels_step(content) if labels_step else with_repeated_heads(content)
    if bits is None:
        return content
    if not LEAST_BITS <= bits <= MOST_BITS:
        raise ZooferryError(f"--bits is {bits}; allowed: {LEAST_BITS} to {MOST_BITS} significant bits of the weights")
    return {**content, "significant_bits": bits}


def _write_parts(
    run: Path, parts: Path, content: Mapping[str, Any], said: Mapping[str, Any], example: Path | None
) -> dict[str, Any]:
    """Every file of the package but rdf.yaml, and its description."""
    shown = write_example(run, parts, content, example)
    if "labels_step" in content:
        require_objects(shown.restored, run)
    deviations = _write_weights(run, parts, content)
    description = _describe(run, parts, content, said)
    readme = model_readme.write(run, content, description, shown, deviations)
    (parts / "README.md").write_text(readme, encoding="utf-8")
    covers.write_cover(parts / "cover.png", shown, content)
    return description


def _reopen(archive: Path, content: Mapping[str, Any], say: Say) -> None:
    unchecked = why_unchecked(content)
    say(
        f"not checked with bioimageio.core: {unchecked}" if unchecked else "reopening and checking with bioimageio.core"
    )
    require_official_check(archive, () if unchecked else ("onnx",))


def _write_weights(run: Path, parts: Path, content: Mapping[str, Any]) -> dict[str, float]:
    """All three formats, each compared with the network on three sizes and two batches; the worst differences."""
    from zooferry import engines, weights

    network = build_trained_network(run, content)
    dims, channels = int(content["dims"]), int(content["channels"][0])
    shape = geometry(content)
    sizes = [tuple(m + n * s for m, s in zip(shape["minimum"], shape["step"], strict=True)) for n in (0, 1, 3)]
    batches = [(batch, channels, *size) for batch in (1, 2) for size in sizes]
    example = np.zeros(batches[0], np.float32)
    weights.write_state_dict(network, parts / "weights.pt")
    weights.write_torchscript(network, parts / "weights_torchscript.pt", example)
    ids = [output.id for output in read_outputs(content)]
    weights.write_onnx(network, parts / "weights.onnx", example, names=(INPUT, *ids), axes=axes.network_axes(dims))
    architecture = source_file(content["network"], run)
    shutil.copyfile(architecture, parts / architecture.name)
    loaded = {
        "TorchScript": engines.load_torchscript(parts / "weights_torchscript.pt"),
        "ONNX": engines.load_onnx(parts / "weights.onnx"),
    }
    return {what: weights.require_agreement(what, run_it, network, batches) for what, run_it in loaded.items()}


def _describe(run: Path, parts: Path, content: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    facts = methods.facts(content["method"])
    dims = int(content["dims"])
    card = complete_card(
        said, title=facts.title, paper=facts.paper, dims=dims, method=facts.name, labels=facts.needs_labels
    )
    return {
        "type": "model",
        "format_version": FORMAT,
        "timestamp": timestamp().isoformat(),
        **card,
        "documentation": {"source": "README.md"},
        "covers": [{"source": "cover.png"}],
        "inputs": [describe_input(parts, content)],
        "outputs": describe_outputs(parts, content),
        "weights": _weights(run, content),
        "parent": described(content, card.get("id")),
        "run_mode": None,
        "icon": card.get("id_emoji"),
        "packaged_by": card["authors"],
        "attachments": [],
        "config": {
            "stardist": None,
            "bioimageio": model_config.describe(run, content, said),
            "zooferry": {
                "version": __version__,
                "method": facts.name,
                "intensity_range": content["intensity_range"],
                **{key: content[key] for key in ("pixel_size", "unit") if key in content},
                **described_halo(content),
                "kinds": {output.id: output.kind for output in read_outputs(content)},
                **({"domain": content["domain"]} if content.get("domain") else {}),
                **({"instances": content["instances"]} if "instances" in content else {}),
                "target_preprocessing": content.get("target", []),
                "target_matched": content.get("matched", ""),
                **({"parent": content["parent"]} if content.get("parent") else {}),
                "data_sha256": [f["sha256"] for f in read_json(run / "data.json")],
            },
        },
    }


def timestamp() -> datetime.datetime:
    """Now, or what SOURCE_DATE_EPOCH (seconds) says, for packages that can be made again byte for byte."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    utc = datetime.timezone.utc
    return (
        datetime.datetime.fromtimestamp(int(epoch), utc) if epoch else datetime.datetime.now(utc).replace(microsecond=0)
    )


def _weights(run: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    import torch

    from zooferry.weights import OPSET

    version = torch.__version__.partition("+")[0]
    name = content["network"]["architecture"].rpartition(".")[2]
    source = source_file(content["network"], run).name
    architecture = {"source": source, "callable": name, "kwargs": content["network"]["arguments"]}
    bits = content.get("significant_bits")
    comment = "weights of the best validation" + (f", rounded to {bits} significant bits" if bits else "")
    return {
        "pytorch_state_dict": {
            "source": "weights.pt", "architecture": architecture, "pytorch_version": version, "parent": None,
            "authors": None, "dependencies": None, "strict": True, "comment": comment,
        },
        "torchscript": {
            "source": "weights_torchscript.pt", "pytorch_version": version, "parent": "pytorch_state_dict",
            "authors": None, "comment": "traced; batch and spatial sizes are free",
        },
        "onnx": {
            "source": "weights.onnx", "opset_version": OPSET, "parent": "pytorch_state_dict", "authors": None,
            "external_data": None, "comment": "IR version 8 or less; batch and spatial sizes are free",
        },
        **dict.fromkeys(OTHER_FORMATS),
    }  # fmt: skip


def _save(content: Mapping[str, Any], parts: Path, folder: Path) -> Path:
    """Validate by bioimageio.spec and let it write the package folder, with the hash of every file."""
    from bioimageio.spec import InvalidDescr, ValidationContext, build_description, save_bioimageio_package_as_folder

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # bioimageio.spec leaves the files open that it hashes
        context = ValidationContext(root=parts, perform_io_checks=True)
        description = build_description(dict(content), context=context)
        if isinstance(description, InvalidDescr):
            raise ZooferryError(f"bioimageio.spec refuses the package: {_spec_errors(description)}; mend the card")
        save_bioimageio_package_as_folder(description, output_path=folder)
    _name_plainly(folder / "rdf.yaml")
    return folder


def _name_plainly(rdf: Path) -> None:
    """Documentation and covers by their names alone, without hashes.

    bioimageio.spec writes maps of source and sha256, as format 0.5.11 and later want it. JDLL 0.6.3 cannot read them:
    the model vanishes from deepImageJ's list (documentation), or the list never appears (covers).
    """
    text = rdf.read_text(encoding="utf-8")
    text = re.sub(r"^format_version: 0\.5\.\d+$", f"format_version: {FORMAT}", text, flags=re.MULTILINE)
    text = re.sub(r"^documentation:\n  source: (.+)\n  sha256: .+\n", r"documentation: \1\n", text, flags=re.MULTILINE)
    covers = re.search(r"^covers:\n(?:  - source: .+\n    sha256: .+\n)+", text, flags=re.MULTILINE)
    if covers is not None:
        plain = re.sub(r"source: (.+)\n    sha256: .+", r"\1", covers[0])
        text = text[: covers.start()] + plain + text[covers.end() :]
    rdf.write_text(text, encoding="utf-8")


def _spec_errors(description: Any) -> str:
    errors = description.validation_summary.errors
    return "; ".join(f"{'.'.join(map(str, e.loc))}: {e.msg}" for e in errors[:3])


def write_zip(folder: Path, archive: Path) -> None:
    """Zip a folder: entries in the order of their names, rdf.yaml first, one time stamp, the same bits every time."""
    files = sorted((p for p in folder.rglob("*") if p.is_file()), key=lambda p: (p.name != "rdf.yaml", str(p)))
    date = max((1980, 1, 1, 0, 0, 0), timestamp().timetuple()[:6])
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as zipped:
        for file in files:
            info = zipfile.ZipInfo(file.relative_to(folder).as_posix(), date)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            zipped.writestr(info, file.read_bytes())


def require_official_check(archive: Path, formats: Sequence[str] = ("onnx",)) -> None:
    """Reopen the zip, and let bioimageio.core reproduce the stored test output with the given weight formats.

    ``zooferry check`` does the same with every format; one of them is enough to know that the package is whole.

    Raises
    ------
    ZooferryError
        It cannot be opened, or the official test fails.
    """
    from bioimageio.core import test_description

    with open_package(archive) as package:
        for output in package.outputs:
            output.test_array()
    for weight_format in formats:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # third-party deprecations do not concern the package
            summary = test_description(archive, weight_format=weight_format)  # type: ignore[arg-type]
        if summary.status != "passed":
            problems = [f"{'.'.join(map(str, e.loc))}: {e.msg}" for d in summary.details for e in d.errors]
            raise ZooferryError(f"bioimageio.core does not pass the package: {'; '.join(problems[:3])}")
