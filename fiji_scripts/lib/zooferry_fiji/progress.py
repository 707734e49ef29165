"""Progress with the remaining time, and the escape key."""

import time

from .errors import CancelledError

SECONDS_BETWEEN_LINES = 0.2
SECONDS_BETWEEN_LOOKS = 0.1


def progress_text(done, total, seconds):
    """Such as "3 of 12 tiles, 8 s left". Pure.

    Parameters
    ----------
    done, total : int
        Tiles.
    seconds : float
        What the finished ones took.
    """
    words = "%d of %d tiles" % (done, total)
    if not done or done >= total:
        return words
    left = seconds / done * (total - done)
    if left >= 3600:
        return words + ", %d h %02d min left" % (left // 3600, left % 3600 // 60)
    if left >= 100:
        return words + ", %d min left" % round(left / 60.0)
    return words + ", %d s left" % max(1, round(left))


class Progress(object):
    """Counts tiles; tells ImageJ's status bar; notices the escape key.

    Parameters
    ----------
    total : int
        Tiles.
    window : engine.Window
        What is asked to stop in the middle of a tile; engines that cannot stop finish their tile first.
    """

    def __init__(self, total, window):
        from ij import IJ

        self._imagej = IJ
        self._total, self._window = total, window
        self._done, self._told = 0, 0.0
        self._begin = time.time()
        self._over = False

    def __enter__(self):
        from java.lang import Runnable, Thread

        progress = self

        class Watch(Runnable):
            def run(self):
                progress._watch()

        thread = Thread(Watch(), "zooferry-escape")
        thread.setDaemon(True)
        thread.start()
        self._tell()
        return self

    def __exit__(self, kind, problem, trace):
        self._over = True
        self._imagej.showProgress(1.0)

    def step(self):
        """One tile is done; raises CancelledError if the user pressed escape."""
        self._done += 1
        self.check()
        if time.time() - self._told > SECONDS_BETWEEN_LINES:
            self._tell()

    def check(self):
        """Raise CancelledError if the user pressed escape."""
        if self._imagej.escapePressed():
            raise CancelledError()

    def _tell(self):
        self._told = time.time()
        self._imagej.showProgress(self._done, self._total)
        self._imagej.showStatus("Zooferry: " + progress_text(self._done, self._total, self._told - self._begin))

    def _watch(self):
        # again and again, for a network that starts later knows nothing of an earlier stop
        while not self._over:
            if self._imagej.escapePressed():
                getattr(self._window, "stop", lambda: None)()
            time.sleep(SECONDS_BETWEEN_LOOKS)
