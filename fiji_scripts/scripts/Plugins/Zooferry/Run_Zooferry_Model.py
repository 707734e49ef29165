#@ ImagePlus image (label="image")
#@ File model (label="model: folder of an unpacked bioimage.io package", style="directory", persistKey="zooferry.run.model")
#@ Integer tile (label="tile: pixels, 0 = automatic", value=0, min=0, persistKey="zooferry.run.tile")
#@ Integer threads (label="threads: 0 = one per processor", value=0, min=0, persistKey="zooferry.run.threads")
#@output ImagePlus restored
#@output String status
#@output String details
"""Plugins > Zooferry > Run Zooferry Model: restore the image with a bioimage.io package.

The result is a new 32-bit image called <name>_restored; the input stays as it is. A model of several outputs gives
one image for each, called <name>_<output id>. Fiji fills the parameters above;
plain ImageJ takes them from the macro's option string or asks in a dialog.
"""

from zooferry_fiji import ask, run

try:
    settings = (image, run.model_folder(model), tile, threads)
except NameError:
    settings = ask.run_settings()

results, status, details = [], "cancelled", "{}"
if settings is not None:
    results, status, details = run.command(*settings)
    run.tell(results, status)
restored = results[0] if results else None
