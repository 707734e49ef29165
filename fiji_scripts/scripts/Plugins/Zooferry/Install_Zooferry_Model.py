#@ java.io.Serializable model (required=false, persist=false)
#@ java.io.Serializable replace (required=false, persist=false)
#@output Boolean passed
#@output String status
#@output String folder
"""Plugins > Zooferry > Install Zooferry Model: put a bioimage.io package into Fiji's folder models, checked first.

`model` is a zip or the folder of an unpacked package. A model of the same name and other content is replaced only if
`replace` allows it. `folder` is where the model is now; Run Zooferry Model knows it by the folder's name.
"""

from zooferry_fiji import ask, asking, ending, installing

TITLE = "Install Zooferry Model"
ROWS = [("model", "zip or folder of a package", asking.FILE), ("replace", "replace another model of this name", False)]

module = globals().get("org.scijava.script.ScriptModule")
chosen = asking.values(TITLE, ROWS, globals())
passed, status, folder = False, "cancelled", ""
if chosen is not None:
    passed, status, folder = installing.command(*chosen)
    asking.tell(TITLE, passed, status)
asking.record(TITLE, ROWS, chosen)
ask.unlisted(module, ["passed", "status", "folder"])
ending.end(passed or chosen is None)
