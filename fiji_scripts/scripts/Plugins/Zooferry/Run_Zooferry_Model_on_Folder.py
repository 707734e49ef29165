# @ File input (label="input folder", style="directory", persistKey="zooferry.folder.input")
# @ File output (label="output folder: results and their table", style="directory", persistKey="zooferry.folder.output")
# @ String pattern (label="files, such as *.tif;*.czi", value="*.tif;*.tiff", persistKey="zooferry.folder.pattern", required=false)
# @ Boolean recursive (label="sub-folders as well", value=false, persistKey="zooferry.folder.recursive", required=false)
# @ String model (label="model: name of an installed one, folder or zip", persistKey="zooferry.folder.model")
# @ Integer tile (label="tile: pixels, 0 = automatic", value=0, min=0, persistKey="zooferry.folder.tile", required=false)
# @ Integer threads (label="threads: 0 = one per processor", value=0, min=0, persistKey="zooferry.folder.threads", required=false)
# @ String engine (label="engine", choices={"automatic", "onnx", "torchscript", "deepimagej"}, persistKey="zooferry.folder.engine", required=false)
# @ String channels (label="channels: each, or numbers such as 2", persistKey="zooferry.folder.channels", required=false)
# @ String planes (label="planes", choices={"all", "frames as slices", "slices as frames"}, persistKey="zooferry.folder.planes", required=false)
# @ String rescale (label="bring to the pixel size of the training data", choices={"no", "yes"}, persistKey="zooferry.folder.rescale", required=false)
# @ Boolean retry (label="do those again that failed", value=false, persistKey="zooferry.folder.retry", required=false)
# @ Boolean exit (label="end Java when done (headless only): exit code 0 if all went well, else 1", value=false, persist=false, required=false)
# @output Boolean passed
# @output String status
"""Plugins > Zooferry > Run Zooferry Model on Folder: restore all images of a folder with a bioimage.io package.

Each result is <name>.tif in the output folder, of a model of several outputs <name>_<output id>.tif; one row per file
is in zooferry_results.csv there. A run that was stopped or killed goes on where it was when it is started again with
the same settings.
"""

from zooferry_fiji import asking, ending, folder

TITLE = "Run Zooferry Model on Folder"
ROWS = [
    ("input", "folder of the images", ""),
    ("output", "folder for the results", ""),
    ("pattern", "files, such as *.tif;*.czi", "*.tif;*.tiff"),
    ("recursive", "sub-folders as well", False),
    ("model", "installed, folder or zip", ""),
    ("tile", "pixels, 0 = automatic", 0),
    ("threads", "0 = one per processor", 0),
    ("engine", "which runs the network", ["automatic", "onnx", "torchscript", "deepimagej"]),
    ("channels", "each, or numbers such as 2", ""),
    ("planes", "in which order", ["all", "frames as slices", "slices as frames"]),
    ("rescale", "to the pixel size of the training data", ["no", "yes"]),
    ("retry", "do those again that failed", False),
    ("exit", "end Java when done, headless only", False),
]
try:
    given = [pattern, recursive, model, tile, threads, engine, channels, planes, rescale, retry, exit]
    given = [input.getPath(), output.getPath()] + given
except NameError:
    given = asking.values(TITLE, ROWS)

passed, status = False, "cancelled"
if given is not None:
    values = dict(zip([row[0] for row in ROWS], given))
    leave = values.pop("exit")
    passed, status = folder.command(values)
    asking.tell(TITLE, passed, status)
    ending.end(passed, leave)
