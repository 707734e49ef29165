"""The one error that a user may see: what came, what is allowed, what to do."""


class ZooferryError(Exception):
    """A user's mistake or an unusable input, told in one line; the command line prints it without a traceback."""


class HostAbsentError(ZooferryError):
    """A host (Java, Fiji, an engine) is not on this machine; the message is the reason given for the skip."""
