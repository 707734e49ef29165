"""One run at a time in an output folder."""

import os

from java.io import IOException, RandomAccessFile
from java.lang import Throwable
from java.nio.channels import OverlappingFileLockException

from . import opening
from .errors import ZooferryError

LOCK = ".zooferry.lock"


def lock(folder):
    """Take the folder; Java lets go of it when the program is killed.

    Raises
    ------
    ZooferryError
        Another run has it, or nothing can be written there.
    """
    path = os.path.join(folder, LOCK)
    try:
        file = RandomAccessFile(path, "rw")
    except Throwable as problem:
        raise ZooferryError(
            "cannot write into %s (%s): choose another output folder" % (folder, opening.words(problem))
        )
    try:
        if file.getChannel().tryLock() is not None:
            return file
    except OverlappingFileLockException:  # held in this very Java
        pass
    except IOException:  # a network drive that knows no locks
        return file
    file.close()
    raise ZooferryError("another run is writing into %s: wait for it, or choose another output folder" % folder)


def unlock(file, folder):
    """Give back what `lock` returned."""
    file.close()
    path = os.path.join(folder, LOCK)
    if os.path.exists(path):
        os.remove(path)
