"""deepImageJ as the engine, for those who ask for it: its documented macro call, its own tiling and scaling.

Its macro writes <input>_<output id>.tif without calibration; ours is put on the planes afterwards.
"""

import os
import time

from ij import IJ, ImagePlus, ImageStack, Menus

from . import tiles
from .errors import UnsupportedError, ZooferryError

COMMAND = "DeepImageJ Run"
ABSENT = (
    "deepImageJ is not installed in this Fiji: switch on its update site in Help > Update > Manage Update Sites, or "
    "choose engine=automatic"
)


def run(job):
    """All passes of a job, as tiles.run returns them."""
    _check(job)
    found = [{} for _ in job.model["outputs"]]
    begin = time.time()
    for number, one in enumerate(job.passes):
        IJ.showProgress(number, len(job.passes))
        results = _run_pass(job, one)
        for planes, result in zip(found, results):
            tiles.place(planes, result, one, job.depth)
    return {"planes": found, "tile": "chosen by deepImageJ", "seconds": time.time() - begin, "note": ""}


def _check(job):
    if COMMAND not in (Menus.getCommands() or {}):
        raise ZooferryError(ABSENT)
    if job.region or job.factors or job.model["instances"] or len(job.images) > 1:
        raise UnsupportedError(
            "engine=deepimagej runs whole planes of one image at their own pixel size, and decodes no labels: leave "
            "region and rescale away, or choose engine=automatic"
        )


def _run_pass(job, one):
    # FloatProcessors [channel][z], one list per output
    import shutil
    import tempfile

    scratch = tempfile.mkdtemp("", "zooferry-deepimagej-")
    try:
        path = os.path.join(scratch, "pass.tif")
        volume = job.volumes(one, lambda: None)[0]
        job.likeness.look(one, volume)
        _save(volume, path)
        paths = (job.folder, path, scratch)
        IJ.run(COMMAND, "model_path=[%s] input_path=[%s] output_folder=[%s] display_output=null" % paths)
        return [_read(os.path.join(scratch, "pass_%s.tif" % tensor["id"]), tensor) for tensor in job.model["outputs"]]
    finally:
        shutil.rmtree(scratch, True)


def _save(volume, path):
    channels, depth = len(volume.planes), len(volume.planes[0])
    stack = ImageStack(volume.planes[0][0].getWidth(), volume.planes[0][0].getHeight())
    for z in range(depth):
        for planes in volume.planes:
            stack.addSlice(planes[z])
    image = ImagePlus("pass", stack)
    image.setDimensions(channels, depth, 1)
    IJ.saveAsTiff(image, path)


def _read(path, tensor):
    image = IJ.openImage(path) if os.path.isfile(path) else None
    if image is None:
        raise ZooferryError(
            "deepImageJ made no result for %s: run the same model in its own window, which says why" % tensor["id"]
        )
    count = image.getStackSize() // tensor["channels"]
    return [
        [image.getStack().getProcessor(z * tensor["channels"] + c + 1).convertToFloatProcessor() for z in range(count)]
        for c in range(tensor["channels"])
    ]
