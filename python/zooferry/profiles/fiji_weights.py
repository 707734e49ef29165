"""Rules of the fiji profile: which weights deepImageJ's engines run, read from the files themselves."""

from __future__ import annotations

from collections.abc import Iterator

from zooferry.package import OpenPackage
from zooferry.profiles.findings import LintFinding, Rule, error, note, tensors, warning
from zooferry.profiles.weight_files import OnnxFacts, is_torchscript, onnx_facts

OPSET, IR = 17, 8  # the newest that the published ONNX engine (onnxruntime 1.12) reads
CRASH = "the published ONNX engine 0.4.2 frees its tensors twice: the JVM died in 7 of 7 runs (measured)"
EXPORT = "export with torch.onnx.export(..., dynamo=False, opset_version=17)"


def fiji_weights(package: OpenPackage) -> Iterator[LintFinding]:
    """Some weights that a Java engine runs."""
    if {"torchscript", "onnx"} & set(package.weights):
        return
    bundle = "tensorflow_saved_model_bundle" in package.weights
    yield (warning if bundle else error)(
        "fiji-weights",
        "weights",
        found=", ".join(package.weights) or "none",
        why="only TorchScript ran in deepImageJ without a Python environment; a sole state dict needs one, Keras is "
        "not run (measured), a TensorFlow bundle was not tried",
        fix="add TorchScript, made by torch.jit.trace",
    )


def fiji_onnx_alone(package: OpenPackage) -> Iterator[LintFinding]:
    """TorchScript accompanies ONNX."""
    if "onnx" in package.weights and "torchscript" not in package.weights:
        yield error(
            "fiji-onnx-alone",
            "weights",
            found="ONNX without TorchScript",
            why=f"{CRASH}, and it never uses the GPU (read)",
            fix="add TorchScript, made by torch.jit.trace",
        )


def fiji_onnx_choice(package: OpenPackage) -> Iterator[LintFinding]:
    """Of two formats either may be taken."""
    if {"torchscript", "onnx"} <= set(package.weights):
        yield note(
            "fiji-onnx-choice",
            "weights",
            found="TorchScript and ONNX",
            why=f"which of the two deepImageJ takes is not defined (a hash map, read), and {CRASH}",
            fix="in Fiji install only the PyTorch engine; other Java hosts need the ONNX weights",
        )


def fiji_ignored_weights(package: OpenPackage) -> Iterator[LintFinding]:
    """Keras and TensorFlow.js beside others are dead freight."""
    for name in package.weights:
        if name in ("keras_hdf5", "keras_v3", "tensorflow_js") and len(package.weights) > 1:
            yield note(
                "fiji-ignored-weights",
                f"weights.{name}",
                found=name,
                why="deepImageJ does not run this format (measured for Keras)",
                fix="nothing, as long as TorchScript is there too",
            )


def fiji_torchscript_file(package: OpenPackage) -> Iterator[LintFinding]:
    """The TorchScript file holds a traced network."""
    path = package.weights.get("torchscript")
    if path is not None and not is_torchscript(path):
        yield error(
            "fiji-torchscript-file",
            "weights.torchscript.source",
            found=f"{path.name} is missing, or holds no code",
            why="libtorch loads only archives with the network's code; a state dict has none",
            fix="write it with torch.jit.trace(network, example).save(path)",
        )


def fiji_onnx_file(package: OpenPackage) -> Iterator[LintFinding]:
    """The ONNX file can be read."""
    path = package.weights.get("onnx")
    if path is not None and onnx_facts(path) is None:
        yield error(
            "fiji-onnx-file",
            "weights.onnx.source",
            found=f"{path.name} is missing, or no ONNX file",
            why="no engine can load it, and deepImageJ may choose it although there is TorchScript (read)",
            fix=EXPORT,
        )


def fiji_onnx_opset(package: OpenPackage) -> Iterator[LintFinding]:
    """The file's opset, not the declared one, decides."""
    facts = _onnx(package)
    if facts and facts.opset > OPSET:
        yield error(
            "fiji-onnx-opset",
            "weights.onnx.source",
            found=f"opset {facts.opset} in the file",
            why="opsets 13 and 17 load in deepImageJ's ONNX engine, 18 and up do not (measured)",
            fix=EXPORT,
        )


def fiji_onnx_declared(package: OpenPackage) -> Iterator[LintFinding]:
    """The declared opset is the file's."""
    facts = _onnx(package)
    declared = package.content["weights"].get("onnx", {}).get("opset_version") if facts else None
    if facts and declared is not None and declared != facts.opset:
        yield warning(
            "fiji-onnx-declared",
            "weights.onnx.opset_version",
            found=f"{declared}; the file says {facts.opset}",
            why="hosts that trust the declaration refuse or accept the wrong files",
            fix=f"write opset_version: {facts.opset}",
        )


def fiji_onnx_ir(package: OpenPackage) -> Iterator[LintFinding]:
    """The file's IR version is old enough."""
    facts = _onnx(package)
    if facts and facts.ir > IR:
        yield error(
            "fiji-onnx-ir",
            "weights.onnx.source",
            found=f"IR version {facts.ir}",
            why=f"deepImageJ's ONNX engine loads IR versions up to {IR}; the dynamo exporter writes 10 (measured)",
            fix=EXPORT,
        )


def fiji_onnx_external(package: OpenPackage) -> Iterator[LintFinding]:
    """ONNX weights are in one file."""
    facts = _onnx(package)
    if facts is None or not facts.external:
        return
    folder = package.weights["onnx"].parent
    whole = all((folder / name).is_file() for name in facts.external)
    yield (warning if whole else error)(
        "fiji-onnx-external",
        "weights.onnx.source",
        found=f"weights in {', '.join(facts.external)}{'' if whole else ', which is missing'}",
        why="deepImageJ ran single-file ONNX only; that it finds a second file was not tried",
        fix=EXPORT,
    )


def fiji_input_type(package: OpenPackage) -> Iterator[LintFinding]:
    """The network takes float32."""
    facts = _onnx(package)
    for i, kind in enumerate(facts.inputs if facts else ()):
        if kind != "float32":
            yield error(
                "fiji-input-type",
                f"inputs[{i}]",
                found=f"the ONNX graph takes {kind}",
                why="JDLL casts every input to float32 before the network (measured)",
                fix="let the network take float32 and cast inside",
            )


def fiji_output_type(package: OpenPackage) -> Iterator[LintFinding]:
    """data.type of an output is what the network emits."""
    facts = _onnx(package)
    emitted = facts.outputs if facts else ()
    outputs = [(where, tensor) for where, tensor in tensors(package) if where.startswith("outputs")]
    for i, (where, tensor) in enumerate(outputs):
        data = tensor.get("data") or {}
        declared = (data[0] if isinstance(data, list) else data).get("type", "float32")
        network = emitted[i] if i < len(emitted) else "float32"
        if declared != network:
            yield error(
                "fiji-output-type",
                f"{where}.data.type",
                found=f"{declared}; the network emits {network}",
                why="data.type must be what the network emits: uint8 after binarize or ensure_dtype failed (measured)",
                fix=f"write data.type: {network}, without a step that changes it",
            )


def _onnx(package: OpenPackage) -> OnnxFacts | None:
    path = package.weights.get("onnx")
    return None if path is None else onnx_facts(path)


RULES: tuple[Rule, ...] = (
    fiji_weights, fiji_onnx_alone, fiji_onnx_choice, fiji_ignored_weights, fiji_torchscript_file, fiji_onnx_file,
    fiji_onnx_opset, fiji_onnx_declared, fiji_onnx_ir, fiji_onnx_external, fiji_input_type, fiji_output_type,
)  # fmt: skip
