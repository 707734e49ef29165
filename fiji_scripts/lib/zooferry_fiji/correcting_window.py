"""The small window of Correct Zooferry Labels, which stays beside the image: save the pair, next image, stop."""

import os

from ij import IJ
from ij.gui import MultiLineLabel, YesNoCancelDialog
from java.awt import BorderLayout, Button, Color, Dialog, FlowLayout, Insets, Panel, Toolkit
from java.awt.event import WindowAdapter
from java.lang import Exception as JavaException
from java.lang import Thread

from . import asking, correcting, pairing, rois, run
from .errors import ZooferryError
from .titles import sentence

TITLE = correcting.TITLE
FULL = (
    "the ROI Manager holds %d ROIs, which would be lost: save them there (More >> Save) or delete them, then start "
    "this command again"
)
HOW = (
    "Wrong object: select it in the ROI Manager, Delete.\n"
    "Missing object: draw it on the image, press t.\n"
    "Wrong outline: select it, change it, press Update."
)
LINES = 5  # of words in the window
GAP = 8  # pixels between windows
SMALL = 380  # pixels of the screen: images that would be smaller are enlarged
GROUND = Color(244, 246, 248)


def start(given):
    """Show the first image and the window.

    Parameters
    ----------
    given : dict
        "image", "labels", "output".

    Returns
    -------
    (bool, str)
        Whether there is something to correct, and one line.
    """
    try:
        if not given["output"]:
            raise ZooferryError("no folder for the training pairs was chosen: choose one, it is made if it is missing")
        if rois.others():
            raise ZooferryError(FULL % rois.others())
        paths = pairing.images_of(given["image"]) if given["image"] else [correcting.WindowManager.getCurrentImage()]
        if paths[0] is None:
            raise ZooferryError(run.NO_IMAGE)
        left = pairing.waiting(paths, given["output"]) if os.path.isdir(given["image"]) else paths
        if not left:
            raise ZooferryError(correcting.ALL_DONE % (len(paths), given["output"]))
        window = CorrectWindow(left, given["labels"], given["output"])
        # before the windows open, for the Recorder takes down what they do
        words = window.step(lambda: correcting.record(given))
    except (Exception, JavaException) as problem:  # noqa: BLE001 - Java's are none of Python's
        correcting.record(None)
        return False, correcting.words_of(problem)
    window.open()
    return True, words


class CorrectWindow(Dialog):
    """Parameters: what is left to do (paths, or one ImagePlus), what ROIs come from, the folder of the pairs."""

    def __init__(self, left, source, output):
        Dialog.__init__(self, IJ.getInstance(), TITLE, False)
        self._left, self._source, self._output = list(left), source, output
        self._total, self._done, self._image, self._kept = len(left), 0, None, 0
        self._saved = False
        self._heading, self._words = MultiLineLabel("", 430), MultiLineLabel("", 430)
        self._buttons = [
            Button(name, actionPerformed=lambda _, action=action: self._later(action))
            for name, action in (
                ("Save training pair", self._save),
                ("Next image", self._next),
                ("Stop", self._stop),
            )
        ]
        self._lay_out()

    def _lay_out(self):
        self.setBackground(GROUND)
        self.setLayout(BorderLayout(0, 4))
        self.add(self._heading, BorderLayout.NORTH)
        self.add(self._words, BorderLayout.CENTER)
        row = Panel(FlowLayout(FlowLayout.RIGHT))
        for button in self._buttons:
            row.add(button)
        self.add(row, BorderLayout.SOUTH)
        window = self

        class Closing(WindowAdapter):
            def windowClosing(self, _):  # noqa: N802 - Java's name
                window._later(window._stop)

        self.addWindowListener(Closing())

    def getInsets(self):  # noqa: N802 - Java's name
        """Room around the words."""
        own = Dialog.getInsets(self)
        return Insets(own.top + 10, own.left + 12, own.bottom + 6, own.right + 12)

    def open(self):
        """Put it on the screen: below the image and the ROI Manager, or where there is room."""
        self._say(HOW)
        self.pack()
        image, screen = self._image.getWindow(), Toolkit.getDefaultToolkit().getScreenSize()
        if image is not None:
            self._enlarge()
            bounds = image.getBounds()
            listed = rois.place_beside(bounds.x + bounds.width + GAP, bounds.y, screen)
            below = max([bounds.y + bounds.height] + listed) + GAP
            x = min(max(bounds.x, 0), max(screen.width - self.getWidth(), 0))
            self.setLocation(x, min(below, max(screen.height - self.getHeight() - 40, 0)))
        self.setVisible(True)

    def _enlarge(self):
        # outlines of small images cannot be seen at their own size
        canvas = self._image.getCanvas()
        while max(self._image.getWidth(), self._image.getHeight()) * canvas.getMagnification() < SMALL:
            before = canvas.getMagnification()
            canvas.zoomIn(canvas.getWidth() // 2, canvas.getHeight() // 2)
            if canvas.getMagnification() <= before:
                break

    def step(self, ready=None):
        """Show the next image with its ROIs; words about it."""
        image = self._left.pop(0)
        self._image, count = correcting.begin(image, self._source, self._output, ready)
        if self.isVisible() and self._image.getWindow() is not None:
            self._enlarge()
        self._kept, self._saved = rois.Shown(self._image).state(), False
        place = "" if self._total == 1 else "%d of %d: " % (self._total - len(self._left), self._total)
        self._heading.setText("%s%s, %d objects" % (place, self._image.getTitle(), count))
        self._buttons[1].setEnabled(bool(self._left))
        IJ.showStatus("Zooferry: correct the objects of %s" % self._image.getTitle())
        return "%s is open with %d objects" % (self._image.getTitle(), count)

    def _later(self, action):
        # in a thread of its own: a network may run, and the window must be painted meanwhile
        for button in self._buttons:
            button.setEnabled(False)
        _Work(lambda: self._act(action)).start()

    def _act(self, action):
        try:
            action()
        except (Exception, JavaException) as problem:  # noqa: BLE001 - Java's are none of Python's
            self._say(sentence(correcting.words_of(problem)))
        finally:
            for button in self._buttons:
                button.setEnabled(True)
            self._buttons[1].setEnabled(bool(self._left))

    def _say(self, words):
        # always as many lines, for a MultiLineLabel that has become lower stays so (observed in ImageJ 1.54p)
        self._words.setText(words + "\n " * max(LINES - words.count("\n") - 1, 0))
        self._words.invalidate()
        self.pack()
        self._words.repaint()

    def _save(self):
        if self._image.getWindow() is None:
            raise ZooferryError("the image was closed, nothing can be saved: go on with the next one")
        words = correcting.save(self._image, self._output)
        self._done += not self._saved
        self._kept, self._saved = rois.Shown(self._image).state(), True
        parts = words.split("; ")
        self._say("\n".join(sentence(part) for part in parts))
        asking.record(TITLE, [("action", "", ""), correcting.ROWS[2]], ["save", self._output])

    def _may_leave(self):
        # whether what was changed is saved or may get lost
        if self._image.getWindow() is None or rois.Shown(self._image).state() == self._kept:
            return True
        question = YesNoCancelDialog(
            IJ.getInstance(), TITLE, "The objects of %s were changed. Save the pair?" % self._image.getTitle()
        )
        if question.cancelPressed():
            return False
        if question.yesPressed():
            self._save()
        return True

    def _close_image(self):
        rois.forget()
        self._image.changes = False
        self._image.close()

    def _next(self):
        if not self._may_leave():
            return
        self._close_image()
        self._say("Looking for objects in %s ..." % os.path.basename(self._left[0]))
        self.step()
        self._say(HOW)

    def _stop(self):
        if not self._may_leave():
            return
        rois.forget()
        if self._done:
            pairs = "%d pair%s in %s" % (self._done, "s" if self._done > 1 else "", self._output)
            model = "" if not self._source or pairing.is_annotation(self._source) else self._source
            IJ.log("%s: %s; train on them:\n    %s" % (TITLE, pairs, pairing.advice(self._output, model)))
        self.dispose()


class _Work(Thread):
    def __init__(self, action):
        Thread.__init__(self, "zooferry-correct")
        self._action = action

    def run(self):
        self._action()
