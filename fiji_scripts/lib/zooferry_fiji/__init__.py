"""Run bioimage.io packages inside ImageJ: Jython 2.7 library of the Zooferry menu commands.

The order in which an image meets the files: description (with older and grid), plan (with tiling), pixels, volume,
operations, engine (or torch_engine); run calls them all.
Only engine.py touches the classes of ONNX Runtime, only torch_engine.py those of DJL. Those of ImageJ are touched by
pixels.py, volume.py, open_networks.py, run.py and ask.py; all others are pure.
"""

__version__ = "0.1.0"
