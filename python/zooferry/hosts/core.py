"""bioimageio.core, the official reader: its own test per weight format, and its prediction of the test input."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, Literal

import numpy as np

from zooferry.errors import HostAbsentError, ZooferryError
from zooferry.hosts import HostRun
from zooferry.instance_steps import missing_library
from zooferry.package import DESCRIPTION_NAMES, open_package

WeightFormat = Literal["pytorch_state_dict", "torchscript", "onnx"]
SEVERITIES = {20: "info", 30: "warning", 35: "alert", 40: "error"}
DEVICES = ["cpu"]  # a GPU's TensorFloat arithmetic alone differs by 1e-3


def run(package: Path, weight_format: WeightFormat) -> HostRun:
    """Test one weight format of the package in the folder `package`.

    Parameters
    ----------
    package : Path
        Unpacked package with an ``rdf.yaml``.
    weight_format : str
        ``pytorch_state_dict``, ``torchscript`` or ``onnx``.

    Returns
    -------
    HostRun
        Outputs as bioimageio.core predicts them from the raw test input, whole, without padding (as its own
        test does); `problems` are the errors of ``bioimageio test`` for this format, all of them.

    Raises
    ------
    HostAbsentError
        The package has no such weights, or a processing step needs a library that is not installed.
    ZooferryError
        The description is not valid.
    """
    description = _description(package)
    if description.validation_summary.status == "failed":
        raise ZooferryError(f"not a valid description: {_first_error(description.validation_summary)}")
    if getattr(description.weights, weight_format, None) is None:
        raise HostAbsentError(f"the package has no {weight_format} weights")
    _require_libraries(package)
    problems = _problems_of_their_test(description, weight_format)
    try:
        outputs = _predict(description, weight_format)
    except Exception:
        if not problems:
            raise
        outputs = {}  # their test has said why
    return HostRun(version(weight_format), outputs, problems)


def _require_libraries(package: Path) -> None:
    with open_package(package) as opened:
        steps = [str(step["id"]) for tensor in opened.outputs for step in tensor.operations]
    for step in steps:
        if library := missing_library(step):
            raise HostAbsentError(f"this host cannot do it: processing step {step!r} needs {library}")


def version(weight_format: WeightFormat) -> str:
    """bioimageio.core's version and that of the engine behind `weight_format`."""
    import importlib.metadata

    engine = "onnxruntime" if weight_format == "onnx" else "torch"
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("bioimageio.core", engine))


def describe(package: Path) -> dict[str, Any]:
    """What bioimageio.spec says about the description: the ``spec`` part of ``report.json``.

    Returns
    -------
    dict
        ``status`` (passed or failed), ``version`` of bioimageio.spec, ``format_version``,
        ``metadata_completeness`` (0-1) and ``messages``, each with ``severity``, ``where`` and ``message``.
    """
    import bioimageio.spec

    summary = _description(package).validation_summary
    messages = [
        {
            "severity": SEVERITIES.get(getattr(entry, "severity", 40), "warning"),
            "where": ".".join(str(part) for part in entry.loc),
            "message": _one_line(entry.msg),
        }
        for detail in summary.details
        for entry in (*detail.errors, *detail.warnings)
        if detail.loc[:1] != ("weights",) or detail.errors
    ]
    return {
        "status": "failed" if summary.status == "failed" else "passed",
        "version": bioimageio.spec.__version__,
        "format_version": summary.format_version,
        "metadata_completeness": summary.metadata_completeness,
        "messages": messages,
    }


@functools.lru_cache(maxsize=1)
def _description(package: Path) -> Any:
    from bioimageio.spec import load_description

    file = next(package / name for name in DESCRIPTION_NAMES if (package / name).is_file())
    return load_description(file, perform_io_checks=True)


def _problems_of_their_test(description: Any, weight_format: WeightFormat) -> tuple[str, ...]:
    from bioimageio.core import test_description

    # never stop_early: it ends after 3 of 23 checks of a passing model
    summary = test_description(description, weight_format=weight_format, devices=DEVICES)
    return tuple(
        f"{detail.name}: {_one_line(error.msg).partition(' Max relative difference')[0]}"
        for detail in summary.details
        if detail.loc[:2] == ("weights", weight_format)
        for error in detail.errors
    )


def _predict(description: Any, weight_format: WeightFormat) -> dict[str, np.ndarray]:
    from bioimageio.core import create_prediction_pipeline
    from bioimageio.core.digest_spec import get_member_ids, get_test_input_sample

    with create_prediction_pipeline(
        bioimageio_model=description, devices=DEVICES, weight_format=weight_format
    ) as pipeline:
        sample = pipeline.predict_sample_without_blocking(
            get_test_input_sample(description), skip_input_padding=True, skip_output_cropping=True
        )
    ids = [name for name in get_member_ids(description.outputs) if name in sample.members]
    return {str(name): np.asarray(sample.members[name].data) for name in ids}


def _first_error(summary: Any) -> str:
    errors = [error for detail in summary.details for error in detail.errors]
    if not errors:
        return "bioimageio.spec gives no reason"
    where = ".".join(str(part) for part in errors[0].loc)
    return f"{where}: {_one_line(errors[0].msg)}" if where else _one_line(errors[0].msg)


def _one_line(message: str) -> str:
    return " ".join(message.split())
