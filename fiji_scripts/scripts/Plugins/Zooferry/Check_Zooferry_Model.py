#@ String model (label="model: name of an installed one, folder or zip", persistKey="zooferry.check.model")
#@output Boolean passed
#@output String status
#@output String details
"""Plugins > Zooferry > Check Zooferry Model: run the package's own test images in this Fiji and compare.

Shows expected_<output>, actual_<output> and difference_<output>; the verdict (1e-4 + 1e-4 x |expected|) goes to the
log, and to `details` as JSON.
"""

from zooferry_fiji import asking, checking

TITLE = "Check Zooferry Model"
try:
    given = [model]
except NameError:
    given = asking.values(TITLE, [("model", "name of an installed one, folder or zip", checking.names())])

passed, status, details = False, "cancelled", "{}"
if given is not None:
    passed, status, details, images = checking.command(given[0])
    checking.show(images)
    asking.tell(TITLE, passed, status)
