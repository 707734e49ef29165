"""`zooferry check`: run a package's test input in every host and compare what comes out with the stored output.

Every host runs in a child process (the three core hosts share one), so a crash or a hang is a row that says so.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import zooferry
from zooferry.comparison import Comparison, compare
from zooferry.engines import require_harmless_script
from zooferry.errors import ZooferryError
from zooferry.files import make_folder, write_text
from zooferry.hosts import HOSTS
from zooferry.hosts.processes import run_hosts
from zooferry.hosts.worker import SPEC
from zooferry.instances.declaration import LABELS
from zooferry.label_comparison import compare_labels, declared_labels, declared_verdict, is_labels
from zooferry.linting import PROFILES, lint
from zooferry.package import OpenPackage, TensorSpec, open_package, verify_files, weights_file
from zooferry.package_description import in_format_0_5
from zooferry.report import CheckReport, HostRow, OutputArrays, write_check_report
from zooferry.tolerance import STATUS as TOLERATED
from zooferry.tolerance import declared_tolerance
from zooferry.trust import why_untrusted

SECONDS = 900.0  # for one host, its imports included
DISAGREEMENTS = "disagreements"
LARGEST_EXCUSE = 0.01  # of the stored output's largest value, as bioimageio.spec has it
CORE_WEIGHTS = {"core-pytorch": "pytorch_state_dict", "core-torchscript": "torchscript", "core-onnx": "onnx"}
DIRECT_WEIGHTS = {"onnx": "onnx", "torchscript": "torchscript"}
Arrays = dict[str, dict[str, np.ndarray]]  # output id -> host -> array
OnLine = Callable[[str], None]


def check_package(
    package: Path,
    *,
    hosts: Sequence[str] | None = None,
    out: Path | None = None,
    on_line: OnLine | None = None,
    seconds: float = SECONDS,
    trust_code: bool = False,
    profiles: Sequence[str] = (),
) -> CheckReport:
    """Run a package in every host and compare the numbers.

    Parameters
    ----------
    package : Path
        A bioimage.io zip or an unpacked folder.
    hosts : sequence of str, optional
        Names among ``zooferry.hosts.HOSTS``; all of them by default.
    out : Path, optional
        Folder for ``report.json``, ``report.html`` and, below ``disagreements``, every array that differs.
    on_line : callable, optional
        Is told one line per host as soon as the host is done.
    seconds : float
        Wall time that one host may take.
    trust_code : bool
        Whether Python code that the package brings may be run; else the hosts that need it are skipped.
    profiles : sequence of str
        Linter profiles (``fiji``, ``zoo``) whose errors make the check fail; the report shows both in any case.

    Returns
    -------
    CheckReport
        ``passed``: at least one host ran, all that ran passed (or said "tolerated"), the description is valid.

    Raises
    ------
    ZooferryError
        An unknown host, a file that is no package or not what its hash says, a folder that cannot be written to.
    """
    names = _known_hosts(hosts)
    say: OnLine = on_line or (lambda _line: None)
    if out is not None:
        make_folder(out)
    with open_package(package) as opened, tempfile.TemporaryDirectory(prefix="zooferry-check-") as scratch:
        verify_files(opened)
        arrays: Arrays = {tensor.id: {} for tensor in opened.outputs}
        rows, spec = [], {}
        refused = _refused(opened, names, trust_code)
        for name, result in _results(opened, Path(scratch), names, refused, seconds=seconds):
            if name == SPEC:
                spec = result
                say(f"{'spec':<17} {spec['status']}")
            else:
                rows.append(_row(name, result, opened, arrays))
                say(rows[-1].line())
        rows.sort(key=lambda row: names.index(row.host))
        modern = replace(opened, content=in_format_0_5(opened.content))  # as the rules read it
        findings = tuple(lint(modern, profiles or tuple(PROFILES) if out else profiles))
        report = replace(_report(package, opened, spec, rows, arrays), findings=findings, profiles=tuple(profiles))
    return report if out is None else _write(report, arrays, out)


def _results(
    opened: OpenPackage, scratch: Path, names: Sequence[str], refused: Mapping[str, dict[str, Any]], *, seconds: float
) -> Iterator[tuple[str, dict[str, Any]]]:
    """What every host says, those that are not run at the end."""
    allowed = [name for name in names if name not in refused]
    yield from run_hosts(opened.folder, scratch, allowed, seconds=seconds)
    yield from refused.items()


def _refused(opened: OpenPackage, names: Sequence[str], trust_code: bool) -> dict[str, dict[str, Any]]:
    """The hosts that would run the package's code without being allowed to (skipped), or a harmful script (failed)."""
    reasons = {n: why_untrusted(opened, CORE_WEIGHTS[n], trust_code=trust_code) for n in names if n in CORE_WEIGHTS}
    empty = {"status": "skipped", "version": "", "seconds": 0.0, "outputs": []}
    found = {name: empty | {"reason": reason} for name, reason in reasons.items() if reason}
    if "torchscript" in opened.weights:
        others = () if "onnx" in opened.weights else ("imagej", "fiji")  # they take ONNX where there is one
        for name in {"core-torchscript", "deepimagej", *others} & set(names):
            try:  # these load any script; the host torchscript looks for itself
                require_harmless_script(weights_file(opened, "torchscript"))
            except ZooferryError as error:
                found[name] = empty | {"status": "failed", "reason": str(error)}
    return found


def _known_hosts(hosts: Sequence[str] | None) -> list[str]:
    unknown = [name for name in hosts or () if name not in HOSTS]
    if unknown:
        raise ZooferryError(f"unknown host {unknown[0]!r}; allowed are {', '.join(HOSTS)}")
    return [name for name in HOSTS if hosts is None or name in hosts]


def _row(name: str, result: dict[str, Any], opened: OpenPackage, arrays: Arrays) -> HostRow:
    """The host's verdict: its arrays are compared with the stored ones and kept in `arrays`."""
    status, reason = result["status"], result["reason"]
    files = {saved["name"]: saved["file"] for saved in result["outputs"]}
    verdicts: list[Comparison] = []
    for tensor in opened.outputs if status != "skipped" else ():
        if tensor.id in files:
            arrays[tensor.id][name] = np.load(files[tensor.id])
            verdicts.append(_verdict(arrays[tensor.id][name], tensor, labels=is_labels(opened, tensor)))
        elif status == "ran":
            status, reason = "failed", f"gave no output {tensor.id!r}"
    labels = declared_verdict(opened, {key: found[name] for key, found in arrays.items() if name in found})
    if labels is not None and status == "ran":
        arrays.setdefault(LABELS, {})[name] = labels[0]
        verdicts.append(labels[1])
    wrong = [verdict for verdict in verdicts if not verdict.passed]
    if wrong and status == "ran":
        excuses = [_excuse(name, verdict, opened, arrays) for verdict in wrong]
        status = TOLERATED if all(excuses) else "failed"
        reason = "; ".join(excuse or verdict.reason for excuse, verdict in zip(excuses, wrong, strict=True))
    return HostRow(
        host=name,
        version=result["version"],
        status="passed" if status == "ran" else status,
        reason=reason,
        seconds=result["seconds"],
        outputs=tuple(verdicts),
    )


def _verdict(actual: np.ndarray, tensor: TensorSpec, *, labels: bool) -> Comparison:
    if labels:
        return compare_labels(actual, tensor.test_array(), name=tensor.id, axes=tensor.axes)
    return compare(actual, tensor.test_array(), name=tensor.id, axes=tensor.axes)


def _excuse(host: str, verdict: Comparison, opened: OpenPackage, arrays: Arrays) -> str:
    """In words, if an output that fails our limits keeps to those that the package declares; else empty."""
    imagej = "onnx" if "onnx" in opened.weights else "torchscript"
    weights = (CORE_WEIGHTS | DIRECT_WEIGHTS).get(host, imagej)
    declared = declared_tolerance(opened.content, verdict.name, weights)
    expected = next((t.test_array() for t in opened.outputs if t.id == verdict.name), None)
    if declared is None or expected is None or verdict.words or declared.absolute > LARGEST_EXCUSE * np.max(expected):
        return ""
    again = compare(
        arrays[verdict.name][host],
        expected,
        name=verdict.name,
        rtol=declared.relative,
        atol=declared.absolute,
        allowed_ppm=declared.ppm,
    )
    return f"{verdict.reason}; within what the package declares, {declared.words()}" if again.passed else ""


def _report(
    package: Path, opened: OpenPackage, spec: dict[str, Any], rows: list[HostRow], arrays: Arrays
) -> CheckReport:
    first = opened.inputs[0]
    outputs = tuple(
        OutputArrays(
            name=tensor.id,
            axes=tuple(tensor.axes),
            input=first.test_array(),
            input_axes=tuple(first.axes),
            expected=tensor.test_array(),
            actual=dict(arrays[tensor.id]),
            pixel_size=dict(tensor.pixel_size or {}),
            unit=tensor.unit,
            labels=is_labels(opened, tensor),
        )
        for tensor in opened.outputs
    )
    labels = declared_labels(opened, {tensor.id: tensor.test_array() for tensor in opened.outputs})
    if labels is not None:  # what the heads are for comes first
        axes = ("z", "y", "x")[-labels.ndim :]
        decoded = replace(outputs[0], name=LABELS, axes=axes, expected=labels, actual=dict(arrays.get(LABELS, {})))
        sized = replace(decoded, labels=True, pixel_size=dict(first.pixel_size or {}), unit=first.unit)
        outputs = (sized, *outputs)
    return CheckReport(
        package=package.name,
        name=opened.name,
        sha256=opened.sha256,
        zooferry=zooferry.__version__,
        spec=spec,
        hosts=tuple(rows),
        outputs=outputs,
    )


def _write(report: CheckReport, arrays: Arrays, out: Path) -> CheckReport:
    """Reports and wrong arrays to `out`; the report returned names the arrays' files."""
    shutil.rmtree(out / DISAGREEMENTS, ignore_errors=True)
    report = report.with_hosts(_keep_wrong_arrays(row, arrays, out) for row in report.hosts)
    write_text(out / "report.json", json.dumps(report.to_json(), indent=2, allow_nan=False))
    write_check_report(out / "report.html", report)
    return report


def _keep_wrong_arrays(row: HostRow, arrays: Arrays, out: Path) -> HostRow:
    kept = []
    for verdict in row.outputs:
        if not verdict.passed:
            file = out / DISAGREEMENTS / f"{row.host}-{_file_name(verdict.name)}.npy"
            file.parent.mkdir(exist_ok=True)
            np.save(file, arrays[verdict.name][row.host], allow_pickle=False)
            kept.append(str(file))
    return replace(row, reason=f"{row.reason}; kept in {', '.join(kept)}") if kept else row


def _file_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in name)
