"""A zip that a user without Python unpacks over Fiji, and the folder that a Fiji update site is made of."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath

import zooferry
from zooferry.errors import ZooferryError
from zooferry.fiji import jars, manifest
from zooferry.fiji.contents import Piece, own_pieces
from zooferry.fiji.install import entries
from zooferry.fiji.manifest import Manifest
from zooferry.files import make_folder, write_atomically, write_text

Say = Callable[[str], None]
EXAMPLE = "care-0.1.0.zip"
EXAMPLE_NAME = "care-example"  # its folder below models/
WHEN = (2026, 1, 1, 0, 0, 0)  # the same content makes the same zip
HOW_TO = "INSTALL-zooferry.txt"
FIJIS = ("jars", "scripts", "scripts/Plugins", "macros", ".")  # folders that every Fiji has
STORED = (".jar", ".zip", ".png")
INSTALL = """Zooferry {version} for Fiji

1. Close Fiji.
2. Unpack this zip over Fiji's folder, so that its folders jars, scripts, macros and models join those of Fiji.
   Windows: right-click the zip > Extract All..., choose the folder Fiji (or Fiji.app).
   Mac: do not drop the folders with the Finder, which replaces whole folders; in a terminal:
        unzip -o zooferry-fiji.zip -d /path/to/Fiji
   Linux: unzip -o zooferry-fiji.zip -d /path/to/Fiji
3. Start Fiji. Plugins > Zooferry > Check Zooferry Installation shows whether all is well.
4. First result: open any image with one channel, then Plugins > Zooferry > Run Zooferry Model, model: {model}
   As a macro: run("Run Zooferry Model", "model={model}");

What is in it: menu commands (scripts/Plugins/Zooferry), their library (jars/Lib/zooferry_fiji), macros
(macros/zooferry), ONNX Runtime (jars/{jar}) and models (models). Nothing else of Fiji is touched. If Fiji has a file
onnxruntime of another version in jars, keep only one of the two.
Licences: Zooferry BSD-3-Clause; ONNX Runtime MIT.
To take it out again, delete exactly these files; jars/Lib/zooferry_fiji/manifest.json lists them.
"""
UPDATE_SITE = """What an update site needs
This folder is laid out as Fiji is. With write access to a site (a WebDAV account or a folder on a web server):

1. Copy this folder's content over a clean, up-to-date Fiji, and go into that Fiji's folder.
2. {launcher} --headless --update edit-update-site Zooferry URL "webdav:USER:PASSWORD" .
3. {launcher} --headless --update upload-complete-site --force Zooferry

{launcher} is the launcher of that Fiji: fiji-linux-x64, fiji-windows-x64.exe, fiji-macos; in older ones ImageJ-linux64
and so on. Users then tick Zooferry in Help > Update... > Manage Update Sites.
"""


def make_bundle(out: Path, *, models: Sequence[Path] | None = None, update_site: Path | None = None, say: Say) -> Path:
    """Write the zip.

    Parameters
    ----------
    out : Path
        The zip to write.
    models : sequence of Path, optional
        Model packages (zip or folder) to put below models/; by default one small example.
    update_site : Path, optional
        Empty or absent folder that gets the same files unpacked, and UPDATE_SITE.txt with the command lines.

    Raises
    ------
    ZooferryError
        A model that cannot be read, two models of one name, a download that failed, a place that cannot be written.
    """
    if update_site is not None and update_site.is_dir() and any(update_site.iterdir()):
        raise ZooferryError(f"{update_site}: is not empty; give an empty or a new folder")
    make_folder(out.parent)
    pieces = own_pieces()
    runtime = next(jar for jar in jars.wanted(torchscript=False) if jar.artifact == "onnxruntime")
    pieces.append(Piece(runtime.place, jars.fetch(runtime, say), runtime.version))
    with tempfile.TemporaryDirectory(prefix="zooferry-bundle-") as scratch:
        names = _unpack_models(models, Path(scratch) / "models")
        texts = Path(scratch)
        words = INSTALL.format(version=zooferry.__version__, model=names[0], jar=runtime.file_name)
        write_text(texts / HOW_TO, words)
        pieces.append(Piece(HOW_TO, texts / HOW_TO, zooferry.__version__))
        manifest.write(texts, Manifest(zooferry.__version__, folders=_folders(pieces), files=entries(pieces)))
        pieces.append(Piece(manifest.PLACE, texts / manifest.PLACE, ""))
        for file in sorted((texts / "models").rglob("*")):
            if file.is_file():
                pieces.append(Piece(file.relative_to(texts).as_posix(), file, ""))
        write_atomically(out, lambda temporary: _write_zip(temporary, pieces))
        if update_site is not None:
            _lay_out(update_site, pieces)
    say(f"{out}: {len(pieces)} files, {out.stat().st_size / 1e6:.1f} MB, models: {', '.join(names)}")
    return out


def example_model() -> Path:
    """The small model that comes with zooferry: inside the installed package or beside the checkout."""
    home = Path(zooferry.__file__).resolve().parent
    for file in (home / "example_model" / EXAMPLE, home.parent.parent / "tests" / "golden" / EXAMPLE):
        if file.is_file():
            return file
    raise ZooferryError("the example model is not there: reinstall zooferry, or give a model with --model")


def _folders(pieces: Sequence[Piece]) -> tuple[str, ...]:
    parents = {parent.as_posix() for piece in pieces for parent in PurePosixPath(piece.place).parents}
    return tuple(sorted(parents - set(FIJIS)))


def _unpack_models(models: Sequence[Path] | None, into: Path) -> list[str]:
    """Each model, checked, in a folder of its own; the folders' names."""
    from zooferry.package import open_package, verify_files

    named = [(path, path.stem if path.is_file() else path.name) for path in models or ()]
    names = []
    for path, name in named or [(example_model(), EXAMPLE_NAME)]:
        if name in names:
            raise ZooferryError(f"two models are called {name}; rename one")
        with open_package(path) as opened:
            verify_files(opened)
            _require_fiji_weights(path, opened.weights)
            shutil.copytree(opened.folder, into / name)
        names.append(name)
    return names


def _require_fiji_weights(path: Path, weights: Iterable[str]) -> None:
    if not {"onnx", "torchscript"} & set(weights):
        raise ZooferryError(f"{path}: has neither ONNX nor TorchScript weights, so Fiji cannot run it; package it anew")


def _write_zip(path: Path, pieces: Sequence[Piece]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for piece in pieces:
            entry = zipfile.ZipInfo(piece.place, WHEN)
            entry.compress_type = zipfile.ZIP_STORED if piece.place.endswith(STORED) else zipfile.ZIP_DEFLATED
            entry.external_attr = 0o100644 << 16
            with piece.source.open("rb") as source, archive.open(entry, "w") as target:
                shutil.copyfileobj(source, target, 1 << 20)


def _lay_out(folder: Path, pieces: Sequence[Piece]) -> None:
    make_folder(folder)
    try:
        for piece in pieces:
            target = folder / piece.place
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(piece.source, target)
    except OSError as error:
        raise ZooferryError(f"{folder}: cannot be written ({error.strerror}); choose another folder") from error
    write_text(folder / "UPDATE_SITE.txt", UPDATE_SITE.format(launcher="LAUNCHER"))
