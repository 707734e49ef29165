#@ java.io.Serializable input (required=false, persist=false)
#@ java.io.Serializable output (required=false, persist=false)
#@ java.io.Serializable pattern (required=false, persist=false)
#@ java.io.Serializable recursive (required=false, persist=false)
#@ java.io.Serializable model (required=false, persist=false)
#@ java.io.Serializable tile (required=false, persist=false)
#@ java.io.Serializable threads (required=false, persist=false)
#@ java.io.Serializable engine (required=false, persist=false)
#@ java.io.Serializable channels (required=false, persist=false)
#@ java.io.Serializable planes (required=false, persist=false)
#@ java.io.Serializable rescale (required=false, persist=false)
#@ java.io.Serializable outlines (required=false, persist=false)
#@ java.io.Serializable rois (required=false, persist=false)
#@ java.io.Serializable table (required=false, persist=false)
#@ java.io.Serializable retry (required=false, persist=false)
#@ java.io.Serializable exit (required=false, persist=false)
#@output Boolean passed
#@output String status
"""Plugins > Zooferry > Run Zooferry Model on Folder: restore all images of a folder with a bioimage.io package.

Each result is <name>.tif in the output folder, of a model of several outputs <name>_<output id>.tif; one row per file
is in zooferry_results.csv there. Of a segmentation, `outlines` puts an overlay into the TIFF, `rois` makes
<name>_rois.zip for the ROI Manager, `table` <name>_table.csv with sizes and grey values of the objects. A run that was
stopped or killed goes on where it was when it is started again with the same settings; `retry` does those again that
failed. With `exit` a headless Java ends after it, with exit code 0 if all files are restored, else 1.
"""

from zooferry_fiji import ask, asking, ending, folder, folder_dialog

TITLE = "Run Zooferry Model on Folder"
ROWS = folder_dialog.rows()
EXIT = [("exit", "end Java when done", False)]

module = globals().get("org.scijava.script.ScriptModule")
passed, status, chosen, leave = False, "cancelled", None, False
try:
    leave = not ask.has_window() and asking.values(TITLE, EXIT, globals())[0]
    chosen = asking.values(TITLE, ROWS, globals(), folder_dialog.HELP)
    if chosen is not None:
        passed, status = folder.command(dict(zip([row[0] for row in ROWS], chosen)))
except folder.ZooferryError as problem:
    status = problem.args[0]
asking.record(TITLE, ROWS, chosen)
ask.unlisted(module, ["passed", "status"])
if status != "cancelled":
    asking.tell(TITLE, passed, status)
ending.end(passed, leave)
