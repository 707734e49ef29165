"""The network that stays open between calls: loading one takes longer than running it on a small image."""

import os

from ij import IJ

PROPERTY = "zooferry.session"


def opened(path, threads, make):
    """The network of an unchanged file if it is still open, else what `make` returns; the one before is closed."""
    key = (path, os.path.getmtime(path), os.path.getsize(path), threads)
    kept = IJ.getProperty(PROPERTY)
    if kept is not None and kept[0] == key:
        return kept[1]
    close_network()
    network = make()
    IJ.setProperty(PROPERTY, (key, network))
    return network


def close_network():
    """Close the network that is still open, if any."""
    kept = IJ.getProperty(PROPERTY)
    IJ.setProperty(PROPERTY, None)
    if kept is not None:
        kept[1].close()
