#@ ImagePlus actual (label="actual: the image to judge")
#@ ImagePlus expected (label="expected: the image it should equal")
#@ Double rtol (label="rtol: allowed part of |expected|", value=0.0001, min=0, style="format:0.0#########", persistKey="zooferry.compare.rtol", required=false)
#@ Double atol (label="atol: allowed in any case", value=0.0001, min=0, style="format:0.0#########", persistKey="zooferry.compare.atol", required=false)
#@ Double allowed (label="allowed: values that may disagree, in parts per million", value=0, min=0, persistKey="zooferry.compare.allowed", required=false)
#@output Boolean passed
#@output String status
#@output String details
"""Plugins > Zooferry > Compare Zooferry Images: how many values of two images agree, and where the worst one is.

A value agrees if |actual - expected| <= atol + rtol * |expected|, as in Python (zooferry.comparison). The numbers go
to the log; `details` holds them as JSON. Positions count from 0.
"""

from zooferry_fiji import asking, comparing

TITLE = "Compare Zooferry Images"
try:
    given = [actual, expected, rtol, atol, allowed]
except NameError:
    given = comparing.ask(TITLE)

passed, status, details = False, "cancelled", "{}"
if given is not None:
    passed, status, details = comparing.command(*given)
    asking.tell(TITLE, passed, status)
