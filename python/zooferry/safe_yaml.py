"""Read YAML from a stranger: plain data only, and small once every alias is written out.

Limits: 1 MiB of text, 50,000 nodes after the aliases are expanded, 50 levels, numbers of 100 characters. The limits
hold before anything is built, so a bomb of aliases costs no memory.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from zooferry.errors import ZooferryError

MAX_BYTES = 1 << 20
MAX_NODES = 50_000
MAX_LEVELS = 50
MAX_NUMBER = 100
NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_FLOAT = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)[eE][-+]?\d+$")
_SafeLoader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same in C where it was built


class _Loader(_SafeLoader):  # type: ignore[valid-type, misc]
    """PyYAML reads ``1e-06``, which bioimageio.spec writes, as a string; YAML 1.2 says it is a number."""

    def construct_scalar(self, node: yaml.ScalarNode) -> Any:
        """The text of a node; reading a number takes time that grows with the square of its length."""
        if node.tag in NUMBERS and len(node.value) > MAX_NUMBER:
            raise yaml.YAMLError(f"a number of {len(node.value)} characters")
        return super().construct_scalar(node)


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))


def read_yaml(path: Path, *, source: Path | None = None) -> dict[str, Any]:
    """The fields of a YAML file.

    Parameters
    ----------
    path : Path
    source : Path, optional
        What messages name, for example the zip that the file came in.

    Raises
    ------
    ZooferryError
        It is too large, no YAML, more than plain data, or no mapping.
    """
    where = f"{source or path}: {path.name}"
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ZooferryError(f"{where} is larger than {MAX_BYTES >> 20} MiB; refused")
        text = path.read_text(encoding="utf-8")
        problem = _too_much(text)
        if problem:
            raise ZooferryError(f"{where} {problem}; refused")
        content = yaml.load(text, Loader=_Loader)  # a SafeLoader
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError, OSError, AttributeError, TypeError) as error:
        # a date 2026-02-31 is a ValueError; "=" as a key and other odd scalars make PyYAML itself stumble
        said = " ".join(str(getattr(error, "problem", None) or error).split())[:160]
        raise ZooferryError(f"{where} is not readable YAML ({said}); mend it or get the package again") from error
    if not isinstance(content, dict):
        raise ZooferryError(f"{where} holds no fields; a model description begins with lines as 'type: model'")
    return content


def _too_much(text: str) -> str:
    """Why the text is too much, without building anything; empty if it is not."""
    sizes: dict[str, int] = {}  # of complete anchored nodes, aliases expanded
    open_nodes: list[tuple[str | None, int]] = []  # anchor, nodes before it
    count = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent) and event.anchor not in sizes:
            return f"has the alias {str(event.anchor)[:40]!r} of something that is not complete"
        count += _nodes(event, sizes)
        if isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((event.anchor, count - 1))
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            if anchor:
                sizes[anchor] = count - before
        if count > MAX_NODES:
            return f"holds more than {MAX_NODES:,} nodes once its aliases are written out"
        if len(open_nodes) > MAX_LEVELS:
            return f"is nested more than {MAX_LEVELS} levels deep"
    return ""


def _nodes(event: yaml.Event, sizes: dict[str, int]) -> int:
    """How many nodes begin with this event."""
    if isinstance(event, yaml.AliasEvent):
        return sizes[str(event.anchor)]
    if isinstance(event, yaml.ScalarEvent):
        if event.anchor:
            sizes[event.anchor] = 1
        return 1
    return 1 if isinstance(event, yaml.CollectionStartEvent) else 0
