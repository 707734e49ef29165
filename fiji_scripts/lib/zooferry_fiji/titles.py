"""What results are called, and text in a dialog. Pure."""

KNOWN_ENDINGS = ("tif", "tiff", "png", "jpg", "jpeg", "gif", "bmp", "czi", "nd2", "lif", "lsm", "zip", "ome")
LINE = 68  # letters in a line of a dialog


def result_title(title, output="restored"):
    """nuclei.tif -> nuclei_restored; also nuclei.ome.tif; of several outputs each nuclei_<output id>."""
    stem = title
    while True:
        start, _, ending = stem.rpartition(".")
        if not start or ending.lower() not in KNOWN_ENDINGS:
            return stem + "_" + output
        stem = start


def unique_title(title, taken):
    """The title, or title-1, title-2 ... if that is taken, as ImageJ names its own images."""
    number, result = 0, title
    while result in taken:
        number += 1
        result = "%s-%d" % (title, number)
    return result


def sentence(words):
    """A message as a sentence in lines of a dialog."""
    lines = [""]
    for word in (words[:1].upper() + words[1:] + ("" if words.endswith(".") else ".")).split(" "):
        if lines[-1] and len(lines[-1]) + len(word) >= LINE:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + word
    return "\n".join(lines)
