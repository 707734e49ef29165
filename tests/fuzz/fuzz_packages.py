"""``python tests/fuzz/fuzz_packages.py --count 20000``: mutated descriptions and zips may only raise ZooferryError.

Each mutation is opened, verified, its tensors are read and its sizes and processing steps are used. What counts as a
finding: any other exception or warning, more than 5 s, a file changed or made outside the scratch folder. A finding
prints the seed that makes it again (``--seed N --count 1``).
"""

from __future__ import annotations

import argparse
import copy
import io
import random
import shutil
import struct
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import any_package

from zooferry import trust
from zooferry.errors import ZooferryError
from zooferry.package import open_package, verify_files, why_not_tiled
from zooferry.running import infer_arrays

SECONDS = 5.0
FOUND_SEEDS = {  # seeds that once found something, and what
    187: "a damaged .npy header made numpy raise tokenize.TokenError",
    5440: "a vector of no gains made an empty array",
    5681: "a minimum of 2147483648 pixels asked for 96 GiB",
}
WORDS = [
    b"*a", b"&a ", b"!!python/object:os.system ", b"[", b"{", b"- ", b": ", b"\0", b"../", b"/etc/passwd", b"1e999",
    b"-1", b"0", b".nan", b".inf", b"null", b"true", b"\xff", b"\xe2\x80\xa8", b"\n", b"  ", b"9" * 30, b"<<: ", b"?",
    b"2026-02-31", b"!!binary ", b"|\n", b"%YAML 1.1\n", b"---\n", b"'", b'"', b"#",
]  # fmt: skip
VALUES: list[Any] = [
    None, True, 0, -1, 1, 3, 2**31, 10**30, 1.5, float("nan"), float("inf"), "", "a", "../x", "/", "\0", "x" * 3000, [],
    {}, [[]], {"a": 1}, [1, 2], "batch", "space", "raw", {"min": 1, "step": 0}, {"tensor_id": "raw", "axis_id": "q"},
    "torchscript", "0.4.9", "0.5", ["y", "x"], "bcyx", {"id": "scale_range", "kwargs": {"axes": 3}}, "net.onnx",
]  # fmt: skip
STEPS = [
    {"id": "clip", "kwargs": {"min_percentile": 3.0, "axes": ["y", "x"]}},
    {"id": "scale_range", "kwargs": {"axes": ["channel", "y", "x"], "max_percentile": 99.0}},
    {"id": "scale_linear", "kwargs": {"gain": [2.0], "offset": [1.0], "axis": "channel"}},
    {"id": "ensure_dtype", "kwargs": {"dtype": "float32"}},
]
OLD = {
    "format_version": "0.4.10",
    "inputs": [{
        "name": "raw", "axes": "bcyx", "shape": {"min": [1, 1, 4, 4], "step": [0, 0, 4, 4]}, "data_type": "float32",
        "preprocessing": [{"name": "zero_mean_unit_variance", "kwargs": {"mode": "per_sample", "axes": "cyx"}}],
    }],
    "outputs": [{
        "name": "out", "axes": "bcyx", "data_type": "float32", "halo": [0, 0, 2, 2],
        "shape": {"reference_tensor": "raw", "scale": [1, 1, 1, 1], "offset": [0, 0, 0, 0]},
    }],
    "test_inputs": ["test_raw.npy"],
    "test_outputs": ["test_out.npy"],
}  # fmt: skip


def make_base(folder: Path) -> list[tuple[dict[str, Any], dict[str, bytes]]]:
    """Good packages of format 0.5 and 0.4: description, and the other files."""
    image = np.random.default_rng(0).random((1, 1, 8, 12)).astype(np.float32)
    made = any_package.write_package(
        folder,
        any_package.identity(folder / "net.onnx"),
        [any_package.tensor("raw", any_package.space(scale=0.5, unit="micrometer"), STEPS)],
        [any_package.tensor("out", any_package.like("raw", halo=2), [STEPS[3]])],
        arrays={"raw": image, "out": image},
    )
    content = yaml.safe_load((made / "rdf.yaml").read_text())
    files = {f.name: f.read_bytes() for f in sorted(made.iterdir()) if f.name != "rdf.yaml"}
    return [(content, files), ({k: v for k, v in content.items() if k not in OLD} | OLD, files)]


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) in a description."""
    for key in list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
        yield node, key
        yield from places(node[key])


def mutate_content(rng: random.Random, content: dict[str, Any]) -> dict[str, Any]:
    """Some values replaced, dropped, doubled or exchanged."""
    content = copy.deepcopy(content)
    for _ in range(rng.choice((1, 1, 2, 5))):
        container, key = rng.choice(list(places(content)) or [(content, "type")])
        action = rng.randrange(4)
        if action == 0:
            container[key] = copy.deepcopy(rng.choice(VALUES))  # shared ones could hold themselves
        elif action == 1:
            del container[key]
        elif action == 2 and isinstance(container, list):
            container.append(copy.deepcopy(container[key]))
        else:
            other, name = rng.choice(list(places(content)) or [(content, "type")])
            if name in other if isinstance(other, dict) else name < len(other):
                container[key] = copy.deepcopy(other[name])
    return content


def mutate_bytes(rng: random.Random, data: bytes) -> bytes:
    """Bits flipped, pieces cut, doubled, moved, odd words put in."""
    content = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at = rng.randrange(len(content) + 1)
        length = rng.choice((1, 2, 4, 8, 64))
        action = rng.randrange(6)
        if action == 0 and at < len(content):
            content[at] ^= 1 << rng.randrange(8)
        elif action == 1:
            del content[at : at + length]
        elif action == 2:
            content[at:at] = rng.choice(WORDS)
        elif action == 3:
            content[at:at] = content[at : at + length] * rng.choice((1, 2, 50))
        elif action == 4:
            content[at : at + length] = rng.randbytes(length)
        else:
            content[at : at + 4] = struct.pack("<L", rng.choice((0, 1, 0xFFFF, 0xFFFFFFFF, 0x7FFFFFFF)))
    return bytes(content)


def rdf(content: dict[str, Any]) -> bytes:
    """As YAML; a copy of a part in itself becomes an alias of itself."""
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True).encode("utf-8", "surrogatepass")


def mutated_name(rng: random.Random, name: str) -> str:
    """The name of an entry, made nasty."""
    odd = ("../", "..\\", "/", "C:\\", "a/../../", "./", name + "/", "\u212a", "x" * 300, "NUL", "\n", "rdf.yaml/")
    return rng.choice([rng.choice(odd) + name, name.upper(), name + rng.choice(odd), rng.choice(odd)])


def write_zip(rng: random.Random, description: bytes, files: dict[str, bytes]) -> bytes:
    """A zip of them, with some entries renamed, doubled, made links or left out."""
    archive = io.BytesIO()
    folder = rng.choice(("", "", "", "model/", "a/b/"))
    with zipfile.ZipFile(archive, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as zipped:
        for name, data in [("rdf.yaml", description), *files.items()]:
            for _ in range(rng.choice((0, 1, 1, 1, 1, 1, 1, 1, 2))):
                info = zipfile.ZipInfo(mutated_name(rng, name) if rng.random() < 0.1 else folder + name)
                info.external_attr = (rng.choice((0o120777, 0o20666, 0)) if rng.random() < 0.05 else 0o100644) << 16
                info.compress_type = zipped.compression
                zipped.writestr(info, data)
    return archive.getvalue()


def make(seed: int, base: list[tuple[dict[str, Any], dict[str, bytes]]], into: Path) -> Path:
    """One mutated package, a zip or a folder."""
    rng = random.Random(seed)
    content, files = rng.choice(base)
    kind = rng.randrange(5)
    description = rdf(mutate_content(rng, content)) if kind in (0, 1) else rdf(content)
    if kind == 2:
        description = mutate_bytes(rng, description)
    if kind == 3:
        name = rng.choice([n for n in files if n.endswith(".npy")])
        files = files | {name: mutate_bytes(rng, files[name])}
        keep = [line for line in description.splitlines(keepends=True) if b"sha256" not in line]
        description = b"".join(keep)  # else the hash would refuse it first
    if kind in (0, 2) and rng.random() < 0.5:
        into.mkdir()
        for name, data in [("rdf.yaml", description), *files.items()]:
            (into / name).write_bytes(data)
        return into
    archive = into.with_suffix(".zip")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # two entries of one name are meant
        zipped = write_zip(rng, description, files)
    archive.write_bytes(mutate_bytes(rng, zipped) if kind == 4 else zipped)
    return archive


def use(path: Path) -> None:
    """All that happens to a package before its weights are loaded."""
    with open_package(path) as package:
        trust.why_untrusted(package, trust.STATE_DICT)
        why_not_tiled(package)
        arrays = {tensor.id: tensor.test_array() for tensor in package.inputs}
        for tensor in package.outputs:
            tensor.test_array()
        infer_arrays(package, arrays, lambda given: list(given))
        verify_files(package)


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Everything below: files with size and time, folders by name."""
    found = sorted(folder.rglob("*"))
    return {str(f): (f.stat().st_size, f.stat().st_mtime_ns) if f.is_file() else (0, 0) for f in found}


def run(count: int, seed: int, say: Callable[[str], None] = print) -> tuple[Counter[str], list[str], float]:
    """Try `count` mutations from `seed` on: how they ended, the findings, and the longest time in seconds."""
    ended: Counter[str] = Counter()
    findings: list[str] = []
    longest = 0.0
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        sentinel = Path(folder)
        base = make_base(sentinel / "base")
        scratch = sentinel / "a" / "b" / "c" / "scratch"
        scratch.mkdir(parents=True)
        before = tree(sentinel)
        tempfile.tempdir = str(scratch)
        try:
            for number in range(seed, seed + count):
                path = make(number, base, scratch / "package")
                started = time.monotonic()
                problem = _try(path, ended)
                seconds = time.monotonic() - started
                longest = max(longest, seconds)
                _remove(path)
                left = [p.name for p in scratch.iterdir()]
                if seconds > SECONDS or left or tree(sentinel) != before:
                    problem = problem or f"{seconds:.1f} s, left over {left}, or the sentinel folders changed"
                if problem:
                    findings.append(f"seed {number}: {problem}")
                    say(findings[-1])
        finally:
            tempfile.tempdir = None
    return ended, findings, longest


def _try(path: Path, ended: Counter[str]) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            use(path)
        ended["accepted"] += 1
    except ZooferryError as error:
        ended["refused"] += 1
        return "" if "\n" not in str(error) and len(str(error)) < 2000 else f"a long message: {str(error)[:200]!r}"
    except Exception:  # noqa: BLE001  any other error is what we look for
        ended["other"] += 1
        return traceback.format_exc(limit=-3)
    return ""


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def main() -> int:
    """Run and print the figures; 1 if there is a finding."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    wall, cpu = time.monotonic(), time.process_time()
    ended, findings, longest = run(options.count, options.seed)
    print(
        f"{options.count} mutations from seed {options.seed}: {dict(ended)}, {len(findings)} findings, longest "
        f"{longest:.2f} s, {time.monotonic() - wall:.0f} s in all ({time.process_time() - cpu:.0f} s of processor)"
    )
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
