"""What Run Zooferry Model on Folder asks for."""

from .asking import FILE
from .settings import CHOICES

HELP = (
    "<html><h3>Run Zooferry Model on Folder</h3>"
    "Each result is <i>name</i>.tif in the output folder. <i>zooferry_results.csv</i> there has one row per file: done "
    "or failed and why, seconds, sizes, model, engine.<br><br>"
    "<b>model</b>: the name of an installed model (Plugins &gt; Zooferry &gt; Check Zooferry Installation lists them), "
    "or a folder or zip.<br>"
    "<b>segmentation</b>: outlines go into the TIFF, for the ROI Manager into <i>name</i>_rois.zip, sizes and grey "
    "values into <i>name</i>_table.csv.<br><br>"
    "ESC stops the run, the image that is under way comes to nothing. Started again with the same settings it goes on "
    "where it was, after a crash as well; files that failed are done again if they have changed or that is ticked."
)


def rows():
    """What the command asks for: see asking.values."""
    return [
        ("input", "folder of the images", FILE),
        ("output", "folder for results and table", FILE),
        ("pattern", "files, such as *.tif;*.czi", "*.tif;*.tiff"),
        ("recursive", "sub-folders as well", False),
        ("model", "model: name, folder or zip", FILE),
        ("tile", "tile (pixels, 0: automatic)", 0),
        ("threads", "threads (0: one per processor)", 0),
        ("engine", "engine", list(CHOICES["engine"])),
        ("channels", "channels (each, or such as 1,3)", ""),
        ("planes", "planes", ["all", "frames as slices", "slices as frames"]),
        ("rescale", "rescale to the pixel size of training", list(CHOICES["rescale"])),
        ("outlines", "segmentation: outlines of the objects as an overlay", False),
        ("rois", "segmentation: outlines as a zip for the ROI Manager", False),
        ("table", "segmentation: table of the objects' sizes and grey values", False),
        ("retry", "do those again that failed", False),
    ]
