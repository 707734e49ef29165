"""Whether an image file is whole. Pure.

ImageJ 1.54p opens a truncated TIFF or JPEG without a word and leaves black what is missing (a 64 x 80 file without its
last 3000 bytes came with a mean of 70.6 instead of 99.9), and of a TIFF that lost its last pages it shows the first.
"""

import os
import re
import struct
import zlib

from .errors import ZooferryError

WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8}  # bytes of the TIFF field types that are read here
FORMATS = {1: "B", 3: "H", 4: "I"}
ROWS, COLUMNS, BITS, COMPRESSION, COLOURS, DESCRIPTION, SAMPLES = 257, 256, 258, 259, 262, 270, 277
ROWS_OF_STRIP, PLANAR, TILE_COLUMNS, TILE_ROWS = 278, 284, 322, 323
PIECES = ((273, 279), (324, 325))  # offsets and byte counts of strips, of tiles
NUMBERS = (ROWS, COLUMNS, BITS, COMPRESSION, COLOURS, SAMPLES, ROWS_OF_STRIP, PLANAR, TILE_COLUMNS, TILE_ROWS)
TAGS = NUMBERS + (DESCRIPTION,) + PIECES[0] + PIECES[1]
LZW, DEFLATE, PACKBITS = 5, (8, 32946), 32773
YCBCR = 6  # whose colours may have fewer pixels


def check_file(path, unpackers=None):
    """Refuse a file that is empty, has lost its end, or whose compressed pixels cannot be unpacked.

    What is no TIFF or JPEG is left to ImageJ. Not seen are other values of pixels that are not compressed, and damage
    by LZW or PackBits that leaves the number of pixels as it was: those have no check sum.

    Parameters
    ----------
    path : str
    unpackers : dict, optional
        `LZW` and `PACKBITS` -> function of a strip's content and the bytes that it should unpack to: those that it
        does, counted up to that, or -1.

    Returns
    -------
    str
        The description that the first page of a TIFF holds; empty if there is none.
    """
    size = os.path.getsize(path)
    if not size:
        raise ZooferryError("the file is empty")
    with open(path, "rb") as stream:
        begin = stream.read(4)
        if begin in (b"II*\0", b"MM\0*"):
            return _check_tiff(stream, size, "<" if begin[:2] == b"II" else ">", unpackers or {})
        if begin[:3] == b"\xff\xd8\xff":
            stream.seek(max(0, size - 64))
            if b"\xff\xd9" not in stream.read():
                raise _truncated("it has no end mark")
    return ""


def _check_tiff(stream, size, order, unpackers):
    pages, seen = [], set()
    place = _unpack(stream, 4, order + "I", size)[0]
    while place and place not in seen:
        seen.add(place)
        (count,) = _unpack(stream, place, order + "H", size)
        entries = _read(stream, place + 2, 12 * count, size)
        pages.append(_page(stream, entries, order, size))
        _check_pieces(stream, pages[-1], size, unpackers)
        (place,) = _unpack(stream, place + 2 + 12 * count, order + "I", size)
    if not pages:
        raise ZooferryError("the TIFF file holds no image")
    _check_stack(pages, size)
    return pages[0].get(DESCRIPTION, "")


def _page(stream, entries, order, size):
    # tag -> list of numbers (text of the description)
    page = {}
    for start in range(0, len(entries), 12):
        tag, kind, count = struct.unpack(order + "HHI", entries[start : start + 8])
        if tag not in TAGS or kind not in WIDTHS:
            continue
        length = WIDTHS[kind] * count
        content = entries[start + 8 : start + 12][:length]
        if length > 4:
            content = _read(stream, struct.unpack(order + "I", entries[start + 8 : start + 12])[0], length, size)
        if tag == DESCRIPTION:
            page[tag] = content.decode("utf-8", "replace")
        elif kind in FORMATS:
            page[tag] = struct.unpack(order + str(count) + FORMATS[kind], content)
    return page


def _check_pieces(stream, page, size, unpackers):
    unpack = _deflated if _first(page, COMPRESSION) in DEFLATE else unpackers.get(_first(page, COMPRESSION))
    for tiled, (offsets, counts) in enumerate(PIECES):
        for number, (place, length) in enumerate(zip(page.get(offsets, ()), page.get(counts, ()))):
            if place + length > size:
                raise _truncated("pixels are to be at byte %d, it ends at %d" % (place + length, size))
            if unpack:
                wanted = _bytes_of_piece(page, number, tiled)
                found = unpack(_read(stream, place, length, size), wanted)
                if found < wanted:
                    words = "%d of %d bytes" % (found, wanted) if found >= 0 else "an impossible code"
                    raise _damaged("%s %d: %s" % ("tile" if tiled else "strip", number + 1, words))


def _deflated(content, _):
    try:
        return len(zlib.decompress(content))
    except zlib.error as problem:
        raise _damaged(problem)


def _bytes_of_piece(page, number, tiled):
    # unpacked; 0 where the format leaves it open
    rows, columns = _first(page, ROWS, 0), _first(page, COLUMNS, 0)
    together = _first(page, SAMPLES) if _first(page, PLANAR) == 1 else 1
    if tiled:
        columns, rows = _first(page, TILE_COLUMNS, 0), _first(page, TILE_ROWS, 0)
    elif _first(page, ROWS_OF_STRIP, rows) < rows:
        height = max(1, _first(page, ROWS_OF_STRIP))
        number = number % -(-rows // height)  # planes of colours follow each other
        rows = min(height, rows - number * height)
    if _first(page, COLOURS) == YCBCR:
        return 0
    return rows * ((columns * together * _first(page, BITS) + 7) // 8)


def _first(page, tag, otherwise=1):
    return (page.get(tag) or (otherwise,))[0]


def _check_stack(pages, size):
    # ImageJ writes a large stack as one page and lets the other planes follow
    first = pages[0]
    found = re.search(r"^images=(\d+)$", first.get(DESCRIPTION, ""), re.MULTILINE)
    if not found or len(pages) > 1 or not first.get(PIECES[0][0]) or first.get(COMPRESSION, (1,))[0] != 1:
        return
    bits = sum(first.get(BITS, (1,))) * (first.get(SAMPLES, (1,))[0] if len(first.get(BITS, (1,))) == 1 else 1)
    plane = first[ROWS][0] * first[COLUMNS][0] * bits // 8
    end = first[PIECES[0][0]][0] + int(found.group(1)) * plane
    if end > size:
        raise _truncated("its %s planes end at byte %d, it ends at %d" % (found.group(1), end, size))


def _unpack(stream, place, form, size):
    return struct.unpack(form, _read(stream, place, struct.calcsize(form), size))


def _read(stream, place, length, size):
    if place + length > size:
        raise _truncated("it points to byte %d, it ends at %d" % (place + length, size))
    stream.seek(place)
    return stream.read(length)


def _damaged(reason):
    return ZooferryError("the file is damaged: compressed pixels cannot be unpacked (%s)" % reason)


def _truncated(reason):
    return ZooferryError("the file is damaged or cut off: %s" % reason)
