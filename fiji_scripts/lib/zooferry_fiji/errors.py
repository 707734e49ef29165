"""The one error that a user may see."""


class ZooferryError(Exception):
    """An unusable image or model, told in one line: what came, what is allowed, what to do."""
