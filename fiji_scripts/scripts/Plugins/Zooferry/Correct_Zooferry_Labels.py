#@ java.io.Serializable action (required=false, persist=false)
#@ java.io.Serializable image (required=false, persist=false)
#@ java.io.Serializable labels (required=false, persist=false)
#@ java.io.Serializable output (required=false, persist=false)
#@output Boolean passed
#@output String status
"""Plugins > Zooferry > Correct Zooferry Labels: what a model finds becomes ROIs, you correct them, and train on them.

Without a macro a small window stays open: Save training pair, Next image, Stop. The pair is output/images/<name>.tif
and output/masks/<name>.tif. In a macro `action` is open (image with its ROIs in the ROI Manager, without a window in
its overlay) or save (the active image). `labels` is a model, a label image, a ROI zip, a folder of these, or nothing.
"""

from zooferry_fiji import ask, asking, correcting, ending

module = globals().get("org.scijava.script.ScriptModule")
given = dict((key, globals().get(key)) for key, _, _ in [correcting.ACTION] + correcting.ROWS)
passed, status = False, "cancelled"
chosen = correcting.asked(given)
if chosen is not None and chosen["action"]:
    passed, status = correcting.command(chosen)
elif chosen is not None:
    from zooferry_fiji import correcting_window

    passed, status = correcting_window.start(chosen)
else:
    correcting.record(None)
ask.unlisted(module, ["passed", "status"])
if chosen is not None and (chosen["action"] or not passed):
    asking.tell(correcting.TITLE, passed, status)
    ending.end(passed)
