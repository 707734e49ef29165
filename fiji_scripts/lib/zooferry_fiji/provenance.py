"""Where a result comes from: lines of text in the image's Info. Pure."""

from . import __version__
from .description import text

KEYS = (
    "model", "id", "version", "weights_sha256", "engine", "threads", "tile", "planes", "channels", "region", "rescale",
    "note", "domain",
)  # fmt: skip


def identity(rdf):
    """The id of a model: its nickname or id in the zoo; empty if it has none."""
    bioimageio = (rdf.get("config") or {}).get("bioimageio") or {}
    return text(rdf.get("id") or bioimageio.get("nickname") or "")


def info(details, old):
    """The Info of a result.

    Parameters
    ----------
    details : dict
        See run.restore; empty entries are left out.
    old : str or None
        The Info of the source, which stays below.
    """
    lines = ["zooferry: %s" % __version__]
    lines += ["zooferry %s: %s" % (key, details[key]) for key in KEYS if details.get(key)]
    return "\n".join(lines) + ("\n" + old if old else "")
