"""The errors that a user may see."""


class ZooferryError(Exception):
    """An unusable image or model, told in one line: what came, what is allowed, what to do."""


class UnsupportedError(ZooferryError):
    """The model asks for something that ImageJ cannot do yet; neither model nor image is at fault."""
