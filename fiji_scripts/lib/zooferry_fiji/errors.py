"""The errors that a user may see."""


class ZooferryError(Exception):
    """An unusable image or model, told in one line: what came, what is allowed, what to do."""


class UnsupportedError(ZooferryError):
    """The model asks for something that ImageJ cannot do yet; neither model nor image is at fault."""


class CancelledError(ZooferryError):
    """The user stopped the run."""

    def __init__(self):
        ZooferryError.__init__(self, "cancelled")


class NoMemoryError(ZooferryError):
    """The network found no memory for a window of this size; a smaller one may fit."""


class AmbiguousError(ZooferryError):
    """The image can be read in several ways.

    Parameters
    ----------
    words : str
        What came and what the model takes.
    key : str
        The setting that decides.
    choices : list of (str, str)
        Its values, and what each means.
    """

    def __init__(self, words, key, choices):
        self.words, self.key, self.choices = words, key, choices
        values = ", or ".join(
            "%s=%s (%s)" % (key, "[%s]" % value if " " in value else value, said) for value, said in choices
        )
        ZooferryError.__init__(self, "%s: set %s" % (words, values))


def todays(problem):
    """The same error as a class of this import of the library; None if it is none of ours.

    Fiji imports the library anew for each command, but a network stays open between them and raises the classes of
    the import that opened it: no "except" of today catches those (observed in Fiji 2.16.0).
    """
    kinds = dict((kind.__name__, kind) for kind in (ZooferryError, UnsupportedError, NoMemoryError))
    name = type(problem).__name__
    if name == "CancelledError":
        return CancelledError()
    return kinds[name](*problem.args) if name in kinds else None
