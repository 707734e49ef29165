"""The table of a folder run: one row per file, safe when the program is killed in the middle of a line. Pure.

Comma-separated, quoted where needed, UTF-8 without a mark at its begin; no cell holds a line break, so that each line
is one row, and what stands behind the last line break is a row that was never finished.
"""

import json
import os
import re

from .errors import ZooferryError

COLUMNS = (
    "file",
    "status",
    "seconds",
    "width",
    "height",
    "channels",
    "slices",
    "frames",
    "bit_depth",
    "model",
    "model_version",
    "weights_sha256",
    "engine",
    "tile",
    "domain",
    "zooferry",
    "results",
    "source_bytes",
    "source_modified",
    "message",
)
OK, FAILED = "ok", "failed"
TABLE, SETTINGS = "zooferry_results.csv", "zooferry_results.json"
CELL = re.compile('(?:"((?:[^"]|"")*)"|([^",]*))(?=,|$)')


class Journal(object):
    """The table of one output folder; `rows` is a dict file -> row, each row a dict column -> text.

    Reading it repairs it: a last line that was never finished is cut off, of two rows for one file the later counts.
    """

    def __init__(self, folder):
        self.path = os.path.join(folder, TABLE)
        self.rows = {}
        self._order = []
        if os.path.isfile(self.path):
            self._read()
        else:
            self._rewrite()

    def _read(self):
        with open(self.path, "rb") as stream:
            content = stream.read()
        whole = content[: content.rfind(b"\n") + 1]
        lines = whole.decode("utf-8", "replace").splitlines()
        if lines and split_line(lines[0]) != list(COLUMNS):
            raise ZooferryError(
                "%s has other columns than this version of zooferry writes: choose another output folder" % self.path
            )
        for line in lines[1:]:
            cells = split_line(line)
            if len(cells) == len(COLUMNS):
                self._keep(dict(zip(COLUMNS, cells)))
        if len(self._order) + 1 != len(lines) or whole != content:
            self._rewrite()

    def _keep(self, row):
        if row["file"] not in self.rows:
            self._order.append(row["file"])
        self.rows[row["file"]] = row

    def forget(self, files):
        """Take the rows of these files out; the table is exchanged as a whole."""
        gone = set(cell(file) for file in files) & set(self.rows)
        if gone:
            self._order = [file for file in self._order if file not in gone]
            self.rows = dict((file, self.rows[file]) for file in self._order)
            self._rewrite()

    def row(self, file):
        """The row of a file, None if it has none."""
        return self.rows.get(cell(file))

    def add(self, values):
        """Write a row (a dict with some of the columns) and do not return before it is on the disk."""
        row = dict((column, cell(values.get(column, ""))) for column in COLUMNS)
        try:
            with open(self.path, "ab") as stream:
                stream.write(line_of(row).encode("utf-8"))
                _to_disk(stream)
        except (IOError, OSError) as problem:
            raise ZooferryError(_unwritable(self.path, problem))
        self._keep(row)

    def _rewrite(self):
        lines = [",".join(COLUMNS) + "\n"] + [line_of(self.rows[file]) for file in self._order]
        write_whole(self.path, "".join(lines))


def line_of(row):
    """One row as a line."""
    return ",".join(_quoted(row[column]) for column in COLUMNS) + "\n"


def _quoted(text):
    return '"%s"' % text.replace('"', '""') if '"' in text or "," in text else text


def cell(value):
    """What stands in the table for a value: text without line breaks."""
    text = value if hasattr(value, "upper") else str(value)
    if isinstance(text, bytes):  # Python 2's str
        text = text.decode("utf-8", "replace")
    return " ".join(text.splitlines())


def split_line(line):
    """The cells of one line; none if it is not one of ours."""
    cells, place = [], 0
    while place <= len(line):
        found = CELL.match(line, place)
        if not found:
            return []
        cells.append(found.group(2) if found.group(1) is None else found.group(1).replace('""', '"'))
        place = found.end() + 1
    return cells


def stands(row, signature, folder):
    """Whether the row's file need not be done again: the file is the same, and its results are there."""
    if [row["source_bytes"], row["source_modified"]] != [str(number) for number in signature]:
        return False
    if row["status"] != OK:
        return True
    return all(os.path.isfile(os.path.join(folder, *name.split("/"))) for name in row["results"].split("|"))


def check_settings(folder, settings):
    """Refuse to go on with other settings than those with which the folder was begun; write them if it is new.

    Parameters
    ----------
    folder : str
        Of the results.
    settings : dict
        Words for the user -> text.
    """
    path = os.path.join(folder, SETTINGS)
    if os.path.isfile(path) and os.path.isfile(os.path.join(folder, TABLE)):
        try:
            with open(path, "rb") as stream:
                before = json.loads(stream.read().decode("utf-8"))
        except ValueError:
            raise ZooferryError("%s is damaged: choose another output folder" % path)
        for key in sorted(settings):
            if before.get(key) != settings[key]:
                raise ZooferryError(
                    "%s holds results for another %s (%s, now %s): choose another output folder, or delete this one's "
                    "%s to begin anew" % (folder, key, before.get(key), settings[key], TABLE)
                )
        return
    text = json.dumps(settings, indent=1, sort_keys=True)
    write_whole(path, text if hasattr(text, "isnumeric") else text.decode("utf-8"))


def write_whole(path, text):
    """Write a text file under a temporary name, then rename it."""
    part = path + ".part"
    try:
        with open(part, "wb") as stream:
            stream.write(text.encode("utf-8"))
            _to_disk(stream)
        replace(part, path)
    except (IOError, OSError) as problem:
        if os.path.exists(part):
            os.remove(part)
        raise ZooferryError(_unwritable(path, problem))


def replace(part, path):
    """Rename, over an older file as well: at every moment the path names the old file or the new one.

    Java's REPLACE_EXISTING alone deletes the old file first; a table looked at just then was not there, and a kill
    would have lost it.
    """
    try:
        from java.nio.file import Files, Paths, StandardCopyOption  # Jython's os.rename fails so on Windows
    except ImportError:
        os.replace(part, path)
    else:
        Files.move(Paths.get(part), Paths.get(path), [StandardCopyOption.ATOMIC_MOVE])


def _to_disk(stream):
    stream.flush()
    os.fsync(stream.fileno())


def _unwritable(path, problem):
    # Java's exceptions have no strerror
    reason = getattr(problem, "strerror", None) or (problem.args[0] if problem.args else problem)
    return "cannot write %s (%s): is the disk full, the folder read-only?" % (path, reason)
