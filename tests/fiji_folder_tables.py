"""Tables of the pure files of the folder command; run in CPython by test_fiji_folder.py and in Jython by
hosts/test_imagej_folder.py.

Written in the common subset of Python 2.7 and 3. `run_all` raises AssertionError at the first wrong row.
"""

# ruff: noqa: UP010, UP020, UP031 - Python 2.7 as well

from __future__ import unicode_literals

import io
import os
import shutil
import struct
import tempfile
import threading
import zlib

from zooferry_fiji import files, integrity, journal
from zooferry_fiji.errors import ZooferryError

TREE = ["a.tif", "B.TIF", "c.tiff", ".d.tif", "e.png", "u \xfc/f \u4e2d.tif", "out/a.tif", "g.txt"]

# pattern, recursive -> found
FOUND = [
    (("*.tif", False), ["B.TIF", "a.tif"]),
    (("*.tif; *.tiff", False), ["B.TIF", "a.tif", "c.tiff"]),
    (("*.TIF", True), ["B.TIF", "a.tif", "u \xfc/f \u4e2d.tif"]),
    (("?.png;g*", False), ["e.png", "g.txt"]),
]

# file, outputs, series -> names of the results
NAMES = [
    (("a.tif", ["restored"], 1), [["a.tif"]]),
    (("x/a b.ome.tif", ["restored"], 1), [["x/a b.tif"]]),
    (("x.1/a.b.czi", ["p", "d:1"], 1), [["x.1/a.b_p.tif", "x.1/a.b_d_1.tif"]]),
    (("a.lif", ["restored"], 2), [["a_series1.tif"], ["a_series2.tif"]]),
    (("a", ["p", "q"], 2), [["a_series1_p.tif", "a_series1_q.tif"], ["a_series2_p.tif", "a_series2_q.tif"]]),
    (("v1.2/cells", ["restored"], 1), [["v1.2/cells.tif"]]),
]

# file, number, series, wanted -> names of what stands beside the result
BESIDE = [
    (("a b.ome.tif", 0, 1, ["rois", "table"]), {"rois": "a b_rois.zip", "table": "a b_table.csv"}),
    (("x.1/a.lif", 1, 2, ["table"]), {"table": "x.1/a_series2_table.csv"}),
    (("a.tif", 0, 1, []), {}),
]

# path, id of one of several outputs -> path
OF_OUTPUT = [
    (("x.1/a_rois.zip", "nuclei"), "x.1/a_rois_nuclei.zip"),
    (("\u4e2d.csv", "cells: 2"), "\u4e2d_cells_2.csv"),
]

# seconds, done, left -> words
REMAINING = [
    ((10.0, 0, 5), ""),
    ((10.0, 5, 5), "10 s left"),
    ((60.0, 1, 30), "30 min left"),
    ((60.0, 1, 90), "1.5 h left"),
]

CELLS = ["plain", "", 'he said "a, b"', '"', '",', ',"', "u \xfc \u4e2d", '""']


def run_all():
    """Every row of every table, in a folder of its own."""
    for arguments, expected in NAMES:
        _same(files.result_names(*arguments), expected, arguments)
    for arguments, expected in BESIDE:
        _same(files.names_beside(*arguments), expected, arguments)
    for arguments, expected in OF_OUTPUT:
        _same(files.of_output(*arguments), expected, arguments)
    for arguments, expected in REMAINING:
        _same(files.remaining(*arguments), expected, arguments)
    for check in (_find, _round_trip, _torn, _twice, _settings, _replaced, _whole_files, _broken_files):
        folder = tempfile.mkdtemp()
        try:
            check(folder)
        finally:
            shutil.rmtree(folder)


def _find(folder):
    for name in TREE:
        path = os.path.join(folder, *name.split("/"))
        if not os.path.isdir(os.path.dirname(path)):
            os.makedirs(path if not os.path.dirname(path) else os.path.dirname(path))
        _write(path, b"x")
    for (pattern, recursive), expected in FOUND:
        found = files.find_files(folder, pattern, recursive, os.path.join(folder, "out"))
        _same(found, expected, (pattern, recursive))
    _refuses(lambda: files.find_files(folder, "*.czi", False), "matches *.czi: change the pattern, or let sub-folders")
    _refuses(lambda: files.find_files(folder, " ; ", False), "pattern is empty")
    _refuses(lambda: files.find_files(os.path.join(folder, "no"), "*", False), "there is no folder")
    _refuses(lambda: files.check_folders(folder, os.path.join(folder, "out", "..")), "choose another output folder")


def _round_trip(folder):
    first = journal.Journal(folder)
    for number, text in enumerate(CELLS):
        first.add({"file": "%d%s" % (number, text), "message": text, "status": journal.OK, "width": 3})
    first.add({"file": "lines", "message": "one\ntwo\r\nthree"})
    again = journal.Journal(folder)
    _same(again.rows, first.rows, "rows")
    for number, text in enumerate(CELLS):
        _same(again.row("%d%s" % (number, text))["message"], text, text)
    _same(again.row("lines")["message"], "one two three", "line breaks")
    _same(again.row("none"), None, "no row")


def _torn(folder):
    # cut behind any byte of the last two rows, the table reads as its whole rows, and goes on
    table = journal.Journal(folder)
    for name in ("a", 'b \xfc \u4e2d, "c"', "d"):
        table.add({"file": name, "status": journal.OK, "message": "\xe4, \u4e2d"})
    whole = _read(table.path)
    breaks = [i for i in range(len(whole)) if whole[i : i + 1] == b"\n"]
    for length in [0, 9, breaks[0]] + list(range(breaks[1], len(whole) + 1)):  # noqa: RUF005 - also Python 2.7
        _write(table.path, whole[:length])
        repaired = journal.Journal(folder)
        _same(len(repaired.rows), max(0, sum(i < length for i in breaks) - 1), length)
        repaired.add({"file": "new", "status": journal.OK})
        _same(len(journal.Journal(folder).rows), len(repaired.rows), length)
    _write(table.path, b"other,columns\n1,2\n")
    _refuses(lambda: journal.Journal(folder), "has other columns")


def _twice(folder):
    table = journal.Journal(folder)
    for name, status in (("a", journal.OK), ("b", journal.FAILED)):
        table.add({"file": name, "status": status, "source_bytes": 7, "source_modified": 9, "results": "a.tif"})
    _same(journal.stands(table.row("b"), (7, 9), folder), True, "failed stands")
    _same(journal.stands(table.row("b"), (8, 9), folder), False, "changed")
    _same(journal.stands(table.row("a"), (7, 9), folder), False, "no result")
    _write(os.path.join(folder, "a.tif"), b"x")
    _same(journal.stands(table.row("a"), (7, 9), folder), True, "result")
    table.forget(["b", "unknown"])
    table.add({"file": "b", "status": journal.OK})
    _same(sorted(journal.Journal(folder).rows), ["a", "b"], "one row per file")
    _same(_read(table.path).count(b"\n"), 3, "lines")


def _settings(folder):
    journal.check_settings(folder, {"tile": "64", "model": "m \xfc"})
    journal.Journal(folder)
    journal.check_settings(folder, {"tile": "64", "model": "m \xfc"})
    words = "another tile (64, now 32): choose another output folder"
    _refuses(lambda: journal.check_settings(folder, {"tile": "32", "model": "m \xfc"}), words)
    os.remove(os.path.join(folder, journal.TABLE))
    journal.check_settings(folder, {"tile": "32", "model": "m \xfc"})


def _replaced(folder):
    """Whoever looks at a file while it is replaced finds the old one or the new one, never none."""
    path = os.path.join(folder, "x.csv")
    journal.write_whole(path, "-1")
    missing, done = [], []

    def look():
        while not done:
            if not os.path.exists(path):
                missing.append(path)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for number in range(300):
            journal.write_whole(path, "%d" % number)
    finally:
        done.append(True)
        looking.join()
    _same((len(missing), _read(path), os.listdir(folder)), (0, b"299", ["x.csv"]), "replaced")


def tiff(planes, order="<", deflate=False, pages=1, images=1):
    """A TIFF of 4 x 2 pixels of 8 bit per plane; `images` in the description of ImageJ."""
    text = ("ImageJ=1.54p\nimages=%d\n\0" % images).encode("ascii")
    pixels = zlib.compress(planes) if deflate else planes
    content = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8 + len(text) + len(pixels))
    content += text + pixels
    for page in range(pages):
        rows = [(256, 4, 4), (257, 4, 2), (258, 4, 8), (259, 4, 8 if deflate else 1), (277, 4, 1)]
        rows += [(273, 4, 8 + len(text)), (279, 4, len(pixels) if deflate else 8)]
        content += struct.pack(order + "H", len(rows) + 1)
        content += b"".join(struct.pack(order + "HHII", tag, kind, 1, value) for tag, kind, value in rows)
        content += struct.pack(order + "HHII", 270, 2, len(text), 8)
        last = page == pages - 1
        content += struct.pack(order + "I", 0 if last else len(content) + 4)
    return content


def _whole_files(folder):
    path = os.path.join(folder, "x.tif")
    rows = [tiff(b"12345678"), tiff(b"12345678", ">"), tiff(b"12345678", deflate=True), tiff(b"12345678", pages=3)]
    for number, content in enumerate(rows):
        _write(path, content)
        _same("ImageJ=1.54p" in integrity.check_file(path), True, number)
    for content in (b"not an image", b"\xff\xd8\xff...\xff\xd9", b"\x89PNG"):
        _write(path, content)
        _same(integrity.check_file(path), "", content)


def _broken_files(folder):
    path = os.path.join(folder, "x.tif")
    for whole in (tiff(b"12345678"), tiff(b"12345678", ">"), tiff(b"12345678", pages=3)):
        for length in range(4, len(whole)):  # cut behind any byte
            _write(path, whole[:length])
            _refuses(lambda: integrity.check_file(path), "cut off")
    damaged = bytearray(tiff(b"12345678", deflate=True))
    damaged[8 + 27 + 2 : 8 + 27 + 6] = b"\xff\xff\xff\xff"
    stack = tiff(b"12345678", images=500)
    for content, words in (
        (b"", "the file is empty"),
        (bytes(damaged), "compressed pixels cannot be unpacked"),
        (stack, "500 planes"),
        (b"\xff\xd8\xff no end", "no end mark"),
        (b"II*\0\0\0\0\0", "holds no image"),
    ):
        _write(path, content)
        _refuses(lambda: integrity.check_file(path), words)


def _write(path, content):
    with io.open(path, "wb") as stream:
        stream.write(content)


def _read(path):
    with io.open(path, "rb") as stream:
        return stream.read()


def _refuses(action, words):
    said = ""
    try:
        action()
    except ZooferryError as problem:
        said = problem.args[0]
    _same((words in said, "\n" in said), (True, False), (words, said))


def _same(actual, expected, arguments):
    assert actual == expected, (arguments, actual, expected)
