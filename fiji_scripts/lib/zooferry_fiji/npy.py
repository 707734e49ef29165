"""Read a stored test tensor (.npy) from a stranger: its header first, nothing is unpickled, no more than it says.

Limits: 2 GiB, 8 axes, plain numbers, as many bytes in the file as the header says, at least one value.
"""

import ast
import io
import os
import struct

from .errors import ZooferryError

MAX_BYTES = 2 << 30
MAX_AXES = 8
MAX_HEADER = 65536
KINDS = ("b1", "u1", "i1", "u2", "i2", "f2", "u4", "i4", "f4", "u8", "i8", "f8")


class Tensor(object):
    """Numbers of a .npy file.

    `shape` is a list of int, `steps` the distance in values along each axis (C or Fortran order), `kind` one of
    KINDS, `big` whether the most significant byte comes first, `begin` where the numbers start in the file, `values`
    the numbers as float[] once `read` has filled it.
    """

    def __init__(self, shape, kind, big, fortran, begin):
        self.shape, self.kind, self.big, self.begin = shape, kind, big, begin
        self.values = None
        self.count = 1
        for length in shape:
            self.count *= length
        steps, step = [], 1
        for length in shape if fortran else reversed(shape):
            steps.append(step)
            step *= length
        self.steps = steps if fortran else steps[::-1]


def read_header(path):
    """What a .npy file says about its numbers. Pure.

    Returns
    -------
    Tensor
        Without values.
    """
    name = os.path.basename(path)
    try:
        with io.open(path, "rb") as stream:
            header, begin = _header(stream)
            fields = ast.literal_eval(header)
            shape, descr, fortran = fields["shape"], fields["descr"], fields["fortran_order"]
    except (ValueError, SyntaxError, KeyError, TypeError, IOError, struct.error, MemoryError, RuntimeError) as problem:
        said = " ".join(str(problem).split())[:120]
        raise ZooferryError("%s is not a numpy array (%s): get the package again" % (name, said))
    kind, big = _kind(name, descr)
    if not isinstance(shape, tuple) or len(shape) > MAX_AXES or [n for n in shape if not _is_length(n)]:
        raise ZooferryError("%s has the shape %s: allowed are %d axes of 1 or more" % (name, str(shape)[:60], MAX_AXES))
    tensor = Tensor([int(n) for n in shape], kind, big, bool(fortran), begin)
    wanted, present = tensor.count * int(kind[1]), os.path.getsize(path) - begin
    if wanted > MAX_BYTES or wanted > present:
        raise ZooferryError(
            "%s says it holds %d bytes and has %d (allowed are %d GiB): get the package again"
            % (name, wanted, present, MAX_BYTES >> 30)
        )
    return tensor


def _header(stream):
    if stream.read(6) != b"\x93NUMPY":
        raise ValueError("it does not begin like one")
    major = ord(stream.read(2)[:1])
    if major not in (1, 2):
        raise ValueError("version %d, allowed are 1 and 2" % major)
    size = 2 if major == 1 else 4
    length = struct.unpack("<H" if major == 1 else "<I", stream.read(size))[0]
    if length > MAX_HEADER:
        raise ValueError("a header of %d bytes" % length)
    return stream.read(length).decode("latin-1").strip(), 8 + size + length


def _kind(name, descr):
    kind = descr[1:] if hasattr(descr, "upper") and descr[:1] in "<>|=" else ""
    if kind not in KINDS:
        raise ZooferryError("%s holds values of type %s: allowed are plain numbers" % (name, str(descr)[:40]))
    return kind, descr[0] == ">"


def _is_length(value):
    return not isinstance(value, bool) and isinstance(value, type(1)) and 0 < value < 2**31


def read(path):
    """The tensor of a .npy file with its values as float[] (64-bit numbers are rounded)."""
    from java.io import RandomAccessFile
    from java.nio import ByteOrder
    from java.nio.channels import FileChannel

    from .kernels import load

    tensor = read_header(path)
    stream = RandomAccessFile(path, "r")
    try:
        size = tensor.count * int(tensor.kind[1])
        mapped = stream.getChannel().map(FileChannel.MapMode.READ_ONLY, tensor.begin, size)
        mapped.order(ByteOrder.BIG_ENDIAN if tensor.big else ByteOrder.LITTLE_ENDIAN)
        tensor.values = load("numbers").toFloats(mapped, tensor.kind, tensor.count)
    finally:
        stream.close()
    return tensor


def planes(tensor, axes):
    """The planes of a tensor.

    Parameters
    ----------
    tensor : Tensor
    axes : list of str
        Name of each axis: batch, channel, z, time, y, x; batch and time are one (frames) if only one of them is long.

    Returns
    -------
    dict
        (c, z, t), from 0 -> float[], row by row.
    height, width : int
    """
    from .kernels import load

    length, step = _by_place(tensor, axes)
    plane = load("numbers").plane
    found = {}
    for t in range(length["t"]):
        for z in range(length["z"]):
            for c in range(length["c"]):
                begin = c * step["c"] + z * step["z"] + t * step["t"]
                found[c, z, t] = plane(tensor.values, begin, length["y"], length["x"], step["y"], step["x"])
    return found, length["y"], length["x"]


def _by_place(tensor, axes):
    # length and step of c, z, t, y, x; pure
    length, step = dict.fromkeys("cztyx", 1), dict.fromkeys("cztyx", 0)
    names = {"batch": "t", "time": "t", "channel": "c"}
    if len(axes) != len(tensor.shape):
        raise ZooferryError("the test tensor has %d axes, the description %d" % (len(tensor.shape), len(axes)))
    for axis, count, stride in zip(axes, tensor.shape, tensor.steps):
        place = names.get(axis, axis)
        if count > 1 and length[place] > 1:
            raise ZooferryError("the test tensor has batches of time series: ImageJ has one axis for both")
        if count > 1 or not step[place]:
            length[place], step[place] = max(count, length[place]), stride
    return length, step
