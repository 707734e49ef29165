"""Run bioimage.io packages inside ImageJ: Jython 2.7 library of the Zooferry menu commands.

The order in which an image meets the files: description (with older and grid), plan (with tiling), pixels, volume,
operations, engine (or torch_engine); run calls them all.
Only engine.py touches the classes of ONNX Runtime, only torch_engine.py those of DJL. Those of ImageJ are touched by
pixels.py, volume.py, open_networks.py, run.py and ask.py; all others are pure.
"""

from __future__ import absolute_import

import io
import sys

__version__ = "0.1.0"

# In Fiji "import io" inside a package finds the Java packages io.scif ... instead of Python's module ("'javapackage'
# object has no attribute 'open'", observed in Fiji 2.16.0); what is imported here first is what all files get.
if not hasattr(io, "open"):
    del sys.modules["io"]
    __import__("io", globals(), {}, [], 0)
