#@ java.io.Serializable actual (required=false, persist=false)
#@ java.io.Serializable expected (required=false, persist=false)
#@ java.io.Serializable rtol (required=false, persist=false)
#@ java.io.Serializable atol (required=false, persist=false)
#@ java.io.Serializable allowed (required=false, persist=false)
#@output Boolean passed
#@output String status
#@output String details
"""Plugins > Zooferry > Compare Zooferry Images: how many values of two images agree, and where the worst one is.

`actual` and `expected` are titles of open images. A value agrees if |actual - expected| <= atol + rtol * |expected|,
as in Python (zooferry.comparison); `allowed` is the part of values in ppm that may disagree. The numbers go to the
log; `details` holds them as JSON. Positions count from 0.
"""

from zooferry_fiji import ask, asking, comparing, ending

TITLE = "Compare Zooferry Images"
ROWS = comparing.rows()

module = globals().get("org.scijava.script.ScriptModule")
passed, status, details, chosen = comparing.asked(TITLE, ROWS, globals())
asking.record(TITLE, ROWS, chosen)
ask.unlisted(module, ["passed", "status", "details"])
if chosen is not None:
    asking.tell(TITLE, passed, status)
    ending.end(passed)
