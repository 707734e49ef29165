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
