"""Unpack a zip from a stranger: every entry is looked at first, and bytes are counted while they come.

The limits are those of the Python package (zooferry.archives).
"""

from .errors import ZooferryError

MAX_ENTRIES = 10000
MAX_UNPACKED_BYTES = 4 << 30
MAX_RATIO = 200
ALWAYS_ALLOWED_BYTES = 64 << 20
MAX_NAME, MAX_PART, MAX_DEPTH = 1024, 255, 32
BLOCK_BYTES = 1 << 20


def check_entries(path, packed, entries):
    """Refuse names that lead outside, two entries of one name, and sizes that only zip bombs have. Pure.

    Parameters
    ----------
    path : str
        For messages.
    packed : int
        Bytes of the zip.
    entries : list of (str, int)
        Name and unpacked bytes of each entry.

    Returns
    -------
    list of list of str
        The parts of each entry's path below the folder; empty for entries that are folders.
    """
    total = sum(max(size, 0) for _, size in entries)
    if len(entries) > MAX_ENTRIES or total > MAX_UNPACKED_BYTES:
        raise ZooferryError(
            "%s unpacks to %d files and %d bytes, allowed are %d files and %d GiB: it is no model package"
            % (path, len(entries), total, MAX_ENTRIES, MAX_UNPACKED_BYTES >> 30)
        )
    if total > max(ALWAYS_ALLOWED_BYTES, MAX_RATIO * max(packed, 1)):
        raise ZooferryError(
            "%s: %d bytes unpack to %d, as in a zip bomb (allowed is %d times): it is refused"
            % (path, packed, total, MAX_RATIO)
        )
    seen, result = set(), []
    for name, _ in entries:
        parts = [part for part in name.replace("\\", "/").split("/") if part != "."]
        folder = not parts[-1]
        problem = _wrong_name([part for part in parts if part] if folder else parts)
        key = "/".join(part.rstrip(". ") for part in parts).lower()  # Windows drops dots and spaces at the end
        if not problem and key in seen:
            problem = "which is there twice (upper and lower case are one)"
        if problem:
            raise ZooferryError("%s holds the entry %s, %s: it is refused" % (path, _shown(name), problem))
        seen.add(key)
        result.append([] if folder else parts)
    return result


def _wrong_name(parts):
    if not parts or [part for part in parts if part in ("", "..") or ":" in part]:
        return "which leads outside the package"
    if [part for part in parts for letter in part if ord(letter) < 32]:
        return "whose name has control characters"
    if sum(map(len, parts)) > MAX_NAME or max(map(len, parts)) > MAX_PART or len(parts) > MAX_DEPTH:
        return "whose name is too long (allowed are %d letters and %d folders)" % (MAX_PART, MAX_DEPTH)
    return ""


def _shown(name):
    return "".join(letter if ord(letter) >= 32 else "?" for letter in name[:80])


def unpack(path, folder):
    """Unpack the zip `path` into the existing folder `folder`; both are text.

    Raises
    ------
    ZooferryError
        No readable zip, or one that `check_entries` refuses; the folder may then hold a part.
    """
    from java.io import File, IOException
    from java.lang import IllegalArgumentException
    from java.util.zip import ZipFile

    try:
        archive = ZipFile(File(path))
        try:
            entries = list(archive.entries())
            targets = check_entries(path, File(path).length(), [(one.getName(), one.getSize()) for one in entries])
            left = MAX_UNPACKED_BYTES
            for entry, parts in zip(entries, targets):
                if parts:
                    left -= _write(archive, entry, File(folder, "/".join(parts)), left)
        finally:
            archive.close()
    except (IOException, IllegalArgumentException) as problem:  # the latter: names that are no UTF-8
        raise ZooferryError(
            "%s is not a readable zip (%s): get the package again, a zip with rdf.yaml in it"
            % (path, " ".join((problem.getMessage() or problem.toString()).split())[:200])
        )


def _write(archive, entry, target, limit):
    # never more than the entry promised
    from jarray import zeros
    from java.io import FileOutputStream

    allowed = min(limit, entry.getSize() if entry.getSize() >= 0 else limit)
    target.getParentFile().mkdirs()
    block, total = zeros(BLOCK_BYTES, "b"), 0
    stream, out = archive.getInputStream(entry), FileOutputStream(target)
    try:
        count = stream.read(block)
        while count > 0:
            total += count
            if total > allowed:
                raise ZooferryError("%s unpacks to more than the zip says: it is refused" % _shown(entry.getName()))
            out.write(block, 0, count)
            count = stream.read(block)
    finally:
        out.close()
        stream.close()
    return total
