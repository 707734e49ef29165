#@ java.io.Serializable model (required=false, persist=false)
#@output Boolean passed
#@output String status
#@output String details
"""Plugins > Zooferry > Check Zooferry Model: run the package's own test images in this Fiji and compare.

`model` is the name of an installed model, a folder or a zip. Shows expected_<output>, actual_<output> and
difference_<output>; the verdict (1e-4 + 1e-4 x |expected|) goes to the log, and to `details` as JSON.
"""

from zooferry_fiji import ask, asking, checking, ending

TITLE = "Check Zooferry Model"
ROWS = checking.rows()

module = globals().get("org.scijava.script.ScriptModule")
chosen = asking.values(TITLE, ROWS, globals())
passed, status, details, images = False, "cancelled", "{}", []
if chosen is not None:
    chosen = checking.model_only(chosen)
    passed, status, details, images = checking.command(*chosen)
asking.record(TITLE, ROWS, chosen)
ask.unlisted(module, ["passed", "status", "details"])
checking.show(images, module)
if chosen is not None:
    asking.tell(TITLE, passed, status)
    ending.end(passed)
