"""Run bioimage.io packages inside ImageJ: Jython 2.7 library of the Zooferry menu commands.

The order in which an image meets the files: description (with older and grid), plan (with tiling), pixels, volume,
operations, engine; run calls them all.
Only engine.py touches the classes of ONNX Runtime; pixels.py, volume.py, run.py and ask.py touch those of ImageJ.
"""

__version__ = "0.1.0"
