#@ ImagePlus image (required=false)
#@ java.io.Serializable model (required=false, persist=false)
#@ java.io.Serializable tile (required=false, persist=false)
#@ java.io.Serializable threads (required=false, persist=false)
#@ java.io.Serializable planes (required=false, persist=false)
#@ java.io.Serializable channels (required=false, persist=false)
#@ java.io.Serializable region (required=false, persist=false)
#@ java.io.Serializable rescale (required=false, persist=false)
#@ java.io.Serializable diameter (required=false, persist=false)
#@ java.io.Serializable engine (required=false, persist=false)
#@ java.io.Serializable heads (required=false, persist=false)
#@ java.io.Serializable outlines (required=false, persist=false)
#@ java.io.Serializable rois (required=false, persist=false)
#@ java.io.Serializable table (required=false, persist=false)
#@output ImagePlus restored
#@output String status
#@output String details
"""Plugins > Zooferry > Run Zooferry Model: restore the image with a bioimage.io package.

The result is a new 32-bit image called <name>_restored (of a preview <name>_preview); the input stays as it is. A
model of several outputs gives one image for each, called <name>_<output id>. Where a title is taken, -1, -2 ...
follows. zooferry_fiji/settings.py lists what the parameters may be.

SciJava has no field for the type Serializable and opens no dialog of its own; ours lists the installed models.
Plain ImageJ gives no parameters: the macro's options are read, or the same dialog opens.
"""

import json

from zooferry_fiji import ask, ending, run, settings

module = globals().get("org.scijava.script.ScriptModule")
given = dict((key, globals().get(key)) for key in settings.KEYS)
asked = ask.run_settings(globals().get("image"), given)

results, status, details = [], "cancelled", json.dumps({"ok": False, "cancelled": True})
if asked is not None:
    source, chosen = asked
    others = dict((key, chosen.get(key)) for key in settings.KEYS[3:])
    results, status, details = run.command(source, chosen.get("model"), chosen.get("tile"), chosen.get("threads"), others)
ask.record(json.loads(details).get("settings"))
restored = results[0] if results else None
ask.unlisted(module, ["restored", "status", "details"])
run.tell(results, status, module)
ending.end(bool(results) or asked is None)
