"""Every tile of every pass through the network, with progress; smaller tiles where the memory does not suffice."""

from ij import IJ
from java.lang import OutOfMemoryError, Runtime
from java.lang.management import ManagementFactory

from . import labelling, operations, pixels, rescaling
from .errors import NoMemoryError, ZooferryError, todays
from .plan import Plan
from .progress import Progress
from .volume import Volume

# measured: a U-Net of 32 features takes about 0.8 kB for each pixel of a window
BYTES_PER_PIXEL = 1500
NO_MEMORY = (
    "not enough memory, although tiles were made as small as %s: close other images, crop this one, or give Java more "
    "in Edit > Options > Memory & Threads"
)
SMALLER = "not enough memory for tiles of %s: going on with %s"


def run(job, network):
    """All passes of a job.

    Parameters
    ----------
    job : job.Job
    network : engine.Network

    Returns
    -------
    dict
        "planes": for each output a dict (c, z, t) -> FloatProcessor, z and t as in the image; "tile": text;
        "seconds": in the network; "note": what was changed for lack of memory, or "".
    """
    tile, limit, note = job.settings["tile"], _limit(job), ""
    while True:
        plan = Plan(job.model, job.lengths, tile, limit)
        try:
            planes, seconds = _run_plan(job, network, plan)
            return {"planes": planes, "tile": plan.tile_text(), "seconds": seconds, "note": note}
        except (OutOfMemoryError, NoMemoryError):
            getattr(network, "release", lambda: None)()
            tile, limit = tile // 2, plan.pixels() * plan.channels // 2
            smaller = Plan(job.model, job.lengths, tile, limit)
            if smaller.pixels() >= plan.pixels():
                raise ZooferryError(NO_MEMORY % plan.tile_text())
            note = SMALLER % (plan.tile_text(), smaller.tile_text())
            IJ.log("Zooferry: " + note)


def _limit(job):
    # pixels of one channel that a window may have; a preview takes small ones
    limit = affordable_pixels()
    region = job.seen_region()
    if region is None:
        return limit
    height, width = [end - start for start, end in region]
    return min(limit, int(max(height * width, 256 * 256) * job.lengths.get(job.depth, 1)))


def affordable_pixels():
    """Pixels of a window for which the computer has memory."""
    try:
        from com.sun.management import OperatingSystemMXBean

        system = ManagementFactory.getPlatformMXBean(OperatingSystemMXBean)
        free = max(system.getFreePhysicalMemorySize(), system.getTotalPhysicalMemorySize() // 4)
    except (ImportError, AttributeError):  # a Java runtime without jdk.management
        free = Runtime.getRuntime().maxMemory()
    return free // 2 // BYTES_PER_PIXEL


def _run_plan(job, network, plan):
    tensors = (job.model["inputs"], job.model["outputs"])
    window = network.window(*[[plan.shape(tensor) for tensor in several] for several in tensors])
    earlier = window.seconds
    places = plan.places(job.seen_region())
    found = [{} for _ in job.model["made"]]
    with Progress(len(places) * len(job.passes), window) as progress:
        for one in job.passes:
            results = _run_pass(job, one, plan, (window, places, progress))
            for planes, result in zip(found, results):
                place(planes, result, one, job.depth)
    return found, window.seconds - earlier


def _run_pass(job, one, plan, running):
    # FloatProcessors [channel][z], one list per output
    model, (window, places, progress) = job.model, running
    volumes = job.volumes(one, progress.check)
    job.likeness.look(one, volumes[0])
    measured = operations.measure_inputs(model, dict(zip([tensor["id"] for tensor in model["inputs"]], volumes)))
    for tensor, volume in zip(model["inputs"], volumes):
        operations.apply_steps(tensor["steps"], volume, measured[tensor["id"]])
    padded = plan.padded_sizes()
    progress.check()
    sources = [pixels.padded_planes(volume, padded) for volume in volumes]
    sizes = [[tensor["channels"]] + plan.output_sizes(tensor) for tensor in model["outputs"]]
    results = [pixels.empty_planes(several, progress.check) for several in sizes]
    for place in places:
        for buffer, planes, tensor in zip(window.sources, sources, model["inputs"]):
            pixels.fill(buffer, planes, plan.input_box(place), plan.strides(tensor), padded[2])
        progress.check()
        _run_window(window)
        for buffer, planes, tensor in zip(window.results, results, model["outputs"]):
            pixels.collect(buffer, planes, plan.output_box(place, tensor), plan.strides(tensor))
        progress.step()
    volumes = [Volume(planes, plan.depth) for planes in results]
    for tensor, volume in zip(model["outputs"], volumes):
        operations.apply_steps(tensor["steps"], volume, measured[tensor["id"]])
    made = labelling.finished(model, plan, volumes)
    return [_own_size(job, tensor, planes) for tensor, planes in zip(model["made"], made)]


def _run_window(window):
    try:
        window.run()
    except Exception as problem:
        known = todays(problem)
        if known is None:
            raise
        raise known


def _own_size(job, tensor, planes):
    # back to the image's pixel size, and to the region of a preview
    if job.lengths != job.whole:
        exact = "float" not in tensor["dtype"]
        planes = [
            rescaling.scaled_planes(several, job.restored_sizes(tensor), exact, job.centred) for several in planes
        ]
    if job.region is None or "x" not in tensor["sizes"] or "y" not in tensor["sizes"]:
        return planes
    ratios = [tensor["sizes"][name]["ratio"] or 1.0 for name in ("x", "y")] * 2
    box = [int(round(number * ratio)) for number, ratio in zip(job.region, ratios)]
    return [[_cropped(plane, box) for plane in several] for several in planes]


def _cropped(plane, box):
    plane.setRoi(*box)
    result = plane.crop()
    plane.resetRoi()
    return result


def place(found, result, one, depth):
    """Put the planes [channel][depth] of one pass to their (c, z, t) in the dict `found`."""
    places = one["places"]
    for c, planes in enumerate(result):
        for i, plane in enumerate(planes):
            if len(planes) <= len(places):
                z, t = places[i]
            else:
                z, t = (i, places[0][1]) if depth == "z" else (places[0][0], i)
            found[one["group"] * len(result) + c, z, t] = plane
