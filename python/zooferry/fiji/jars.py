"""The jars that Zooferry adds to a Fiji: fixed versions from Maven Central, each with the SHA-256 that it must have.

The versions are those of `zooferry.hosts.jvm`; whoever raises one there writes its hash here (a test asks for it).
"""

from __future__ import annotations

import platform
import re
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from zooferry.errors import ZooferryError
from zooferry.files import sha256
from zooferry.hosts import jvm

ALWAYS = ("onnxruntime", "snakeyaml", "groovy")  # Fiji has the last two; added only where they are missing
# what DJL needs beside its own jars, in the versions that its description names; Fiji has all of them
OF_DJL = (
    "com.google.code.gson:gson:2.8.6",
    "net.java.dev.jna:jna:4.5.2",
    "org.apache.commons:commons-compress:1.20",
    "org.slf4j:slf4j-api:1.7.30",
)
# jars of one row hold the same classes, so that two of them would shadow each other
SAME_CLASSES = (("onnxruntime", "onnxruntime_gpu"), ("groovy", "groovy-all"), ("api", "djl-api"))
# Fiji has another library whose jar is called api: DJL's goes by a name of its own, and is known by its package
FIJI_NAMES = {"api": "djl-api"}
PACKAGES = {"api": "ai/djl/"}
# the oldest that has what our code calls: session.run with outputs to write into came with 1.17.0 (1.16.0 has it not)
OLDEST = {"onnxruntime": (1, 17)}
SHA256 = {
    "com.microsoft.onnxruntime:onnxruntime:1.29.0": "5933bbc0c6c4d89afc04bf7c11011de23a947509c1352e5bf5936e62a84e4d10",
    "org.yaml:snakeyaml:2.3": "63a76fe66b652360bd4c2c107e6f0258daa7d4bb492008ba8c26fcd230ff9146",
    "org.apache.groovy:groovy:4.0.23": "b26ee90507fecda8c6da6d3fdbeb8b2c99979ac8b8aa2459a4813e6bee7ae6e6",
    "ai.djl:api:0.35.1": "1295c9ba7c5b0e2974a638953ed123154bcc0aca0dbc4106911dc6c9a5d8ccf5",
    "ai.djl.pytorch:pytorch-engine:0.35.1": "9f8b38a3820facbbdef09b4e691900da5860bb7d7bf2e068d9be205c471ae02f",
    "ai.djl.pytorch:pytorch-jni:2.7.1-0.35.1": "ec85fc26b76fb6919c38a5caccc96e2fc139d9e6919ffa65bed3d54e6ea8e380",
    "ai.djl.pytorch:pytorch-native-cpu:2.7.1:linux-x86_64": (
        "1769928feaaa2389b4aa68390e7787ce1707290258b167d016a200fced4b8c39"
    ),
    "ai.djl.pytorch:pytorch-native-cpu:2.7.1:osx-aarch64": (
        "e1ca6c377750d31a2a791d9d2dac9efb09e39181faf84338ef0e140214979ff2"
    ),
    "ai.djl.pytorch:pytorch-native-cpu:2.7.1:win-x86_64": (
        "f70603e9b03cf7df1690c2b1f8edd99fcfdc4e38d639db1d3604ce22b13a38df"
    ),
    "com.google.code.gson:gson:2.8.6": "c8fb4839054d280b3033f800d1f5a97de2f028eb8ba2eb458ad287e536f3f25f",
    "net.java.dev.jna:jna:4.5.2": "0c8eb7acf67261656d79005191debaba3b6bf5dd60a43735a245429381dbecff",
    "org.apache.commons:commons-compress:1.20": "0aeb625c948c697ea7b205156e112363b59ed5e2551212cd4e460bdb72c7c06e",
    "org.slf4j:slf4j-api:1.7.30": "cdba07964d1bb40a0761485c6b1e8c2f8fd9eb1d19c53928ac0d7f9510105c57",
}
CACHE = Path(".cache") / "zooferry" / "fiji-jars"  # below the user's home


@dataclass(frozen=True)
class Jar:
    """One jar of Maven Central: ``group:artifact:version`` or with ``:classifier``."""

    coordinate: str

    @property
    def artifact(self) -> str:
        return self.coordinate.split(":")[1]

    @property
    def version(self) -> str:
        return self.coordinate.split(":")[2]

    @property
    def file_name(self) -> str:
        return "-".join(self.coordinate.split(":")[1:]) + ".jar"

    @property
    def place(self) -> str:
        """Path within Fiji."""
        name, *rest = self.coordinate.split(":")[1:]
        return f"jars/{'-'.join((FIJI_NAMES.get(name, name), *rest))}.jar"

    @property
    def rivals(self) -> tuple[str, ...]:
        """Artefacts that hold the same classes, itself included."""
        return next((row for row in SAME_CLASSES if self.artifact in row), (self.artifact,))


def wanted(*, torchscript: bool) -> list[Jar]:
    """What a Fiji needs beside what it has: ONNX Runtime, with `torchscript` LibTorch for this computer as well.

    Raises
    ------
    ZooferryError
        There is no LibTorch for this computer.
    """
    found = [Jar(c) for c in jvm.ENDPOINTS if Jar(c).artifact in ALWAYS]
    if not torchscript:
        return found
    place = (platform.system(), platform.machine())
    if place not in jvm.LIBTORCH:
        raise ZooferryError(f"there is no LibTorch for Java on {' '.join(place)}: install without --torchscript")
    return found + [Jar(c) for c in (*jvm.TORCHSCRIPT, jvm.LIBTORCH[place], *OF_DJL)]


def holds_other_classes(artifact: str, file: Path) -> bool:
    """Whether a jar that is called like one of ours is something else."""
    package = PACKAGES.get(artifact)
    if package is None:
        return False
    try:
        with zipfile.ZipFile(file) as archive:
            return not any(name.startswith(package) for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return True


def why_unusable(jar: Jar, version: str) -> str:
    """Why a jar that Fiji has already cannot take the place of ours; empty if it can."""
    least = OLDEST.get(jar.artifact)
    numbers = tuple(int(n) for n in re.findall(r"\d+", version)[: len(least or ())])
    if least is None or numbers >= least:
        return ""
    return f"version {version}, needed is {'.'.join(map(str, least))} or newer"


def fetch(jar: Jar, say: Callable[[str], None]) -> Path:
    """The jar's file in the user's cache, its hash verified; downloaded at the first call.

    Raises
    ------
    ZooferryError
        It cannot be fetched, or is not the file that it should be.
    """
    expected = SHA256.get(jar.coordinate)
    if expected is None:
        raise ZooferryError(f"{jar.coordinate}: no SHA-256 is known for this version; this is a mistake in zooferry")
    kept = Path.home() / CACHE / jar.file_name
    try:
        if kept.is_file() and sha256(kept) == expected:
            return kept
        say(f"fetching {jar.file_name} from Maven Central")
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as scratch:
            file = _download(jar, Path(scratch))
            found = sha256(file)
            if found != expected:
                raise ZooferryError(
                    f"{jar.file_name}: what came is not the file that it should be (sha256 {found}, expected "
                    f"{expected}); nothing was changed, try again later"
                )
            file.replace(kept)
    except OSError as error:
        raise ZooferryError(
            f"{jar.file_name} could not be put into {kept.parent} ({error.strerror or type(error).__name__}); nothing "
            "was changed, make room there or connect to the network"
        ) from error
    return kept


def _download(jar: Jar, scratch: Path) -> Path:
    import requests
    from jgo.maven import MavenContext

    group, artifact, version, *classifier = jar.coordinate.split(":")
    context = MavenContext(repo_cache=scratch, timeout=60)
    try:
        return context.project(group, artifact).at_version(version).artifact(*classifier).resolve()
    except (requests.RequestException, RuntimeError) as error:
        raise ZooferryError(
            f"{jar.file_name} could not be fetched from Maven Central ({type(error).__name__}); nothing was changed, "
            "connect to the network and try again"
        ) from error
