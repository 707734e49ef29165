#@ File model (label="model: zip of a bioimage.io package, or the unpacked folder's path", style="open", persistKey="zooferry.install.model")
#@ Boolean replace (label="replace another model of this name", value=false, persistKey="zooferry.install.replace", required=false)
#@output Boolean passed
#@output String status
#@output String folder
"""Plugins > Zooferry > Install Zooferry Model: put a bioimage.io package into Fiji's folder models, checked first.

A model of the same name and other content is replaced only if that is allowed. `folder` is where the model is now;
Run Zooferry Model knows it by the folder's name.
"""

from zooferry_fiji import asking, installing

TITLE = "Install Zooferry Model"
try:
    given = [model.getPath(), bool(replace)]
except NameError:
    given = asking.values(TITLE, [("model", "zip or folder of a package", ""), ("replace", "one of this name", False)])

passed, status, folder = False, "cancelled", ""
if given is not None:
    passed, status, folder = installing.command(*given)
    asking.tell(TITLE, passed, status)
