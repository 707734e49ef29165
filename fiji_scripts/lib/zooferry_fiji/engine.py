"""ONNX Runtime: the only file that touches the engine's classes."""

import os

from ai.onnxruntime import OnnxJavaType, OnnxTensor, OrtEnvironment, OrtException, OrtSession
from ij import IJ
from java.lang import LinkageError, Runtime, System
from java.nio import ByteBuffer, ByteOrder
from java.util import Collections

from .errors import ZooferryError

CACHE = "zooferry.session"
LARGEST_BUFFER = 2**31 - 1  # bytes, a limit of Java


class Network(object):
    """An open ONNX session with one input and one output of 32-bit pixels."""

    def __init__(self, session, threads):
        self.session = session
        self.threads = threads
        self.engine = "ONNX Runtime %s (Java)" % OrtEnvironment.getEnvironment().getVersion()
        self.source = _only_name(session.getInputInfo(), "inputs")
        self.result = _only_name(session.getOutputInfo(), "outputs")
        self._window = None

    def window(self, shape_in, shape_out):
        """Buffers for windows of one shape (B C (Z) Y X); kept until another shape is asked for."""
        if self._window is None or self._window.shapes != (shape_in, shape_out):
            self.release()
            self._window = Window(self, shape_in, shape_out)
        return self._window

    def release(self):
        """Give the buffers back."""
        if self._window is not None:
            self._window.close()
            self._window = None

    def close(self):
        self.release()
        self.session.close()


class Window(object):
    """Two direct buffers that the network reads and writes in place."""

    def __init__(self, network, shape_in, shape_out):
        self.shapes = (shape_in, shape_out)
        self.seconds = 0.0
        self._session = network.session
        self.source, self._tensor_in = _tensor(shape_in)
        self.result, self._tensor_out = _tensor(shape_out)
        self._inputs = Collections.singletonMap(network.source, self._tensor_in)
        self._outputs = Collections.singletonMap(network.result, self._tensor_out)

    def run(self):
        """The network on `source`; afterwards its output stands in `result`. Adds to `seconds`."""
        begin = System.nanoTime()
        try:
            self._session.run(self._inputs, Collections.emptySet(), self._outputs).close()
        except OrtException as problem:
            raise ZooferryError(
                "the network failed on a window of %s, try a smaller tile: %s"
                % (" x ".join(map(str, self.shapes[0])), " ".join(problem.getMessage().split()))
            )
        self.seconds += (System.nanoTime() - begin) / 1e9
        self.result.clear()

    def close(self):
        self._tensor_in.close()
        self._tensor_out.close()


def open_network(path, threads):
    """The network of an ONNX file; an unchanged file stays open between calls.

    Parameters
    ----------
    path : str
    threads : int
        Threads inside an operator; 0: one per processor.
    """
    threads = threads or Runtime.getRuntime().availableProcessors()
    key = (path, os.path.getmtime(path), os.path.getsize(path), threads)
    cached = IJ.getProperty(CACHE)
    if cached is not None and cached[0] == key:
        return cached[1]
    close_network()
    try:
        network = Network(_session(path, threads), threads)
    except OrtException as problem:
        raise ZooferryError("ONNX Runtime cannot open %s: %s" % (path, " ".join(problem.getMessage().split())))
    except LinkageError as problem:
        raise ZooferryError("ONNX Runtime has no native library for this computer: %s" % problem.getMessage())
    IJ.setProperty(CACHE, (key, network))
    return network


def _session(path, threads):
    options = OrtSession.SessionOptions()
    try:
        options.setIntraOpNumThreads(threads)
        options.setInterOpNumThreads(1)
        return OrtEnvironment.getEnvironment().createSession(path, options)
    finally:
        options.close()


def close_network():
    """Close the network that is still open, if any."""
    cached = IJ.getProperty(CACHE)
    IJ.setProperty(CACHE, None)
    if cached is not None:
        cached[1].close()


def _tensor(shape):
    pixels = 1
    for length in shape:
        pixels *= length
    if pixels * 4 > LARGEST_BUFFER:
        raise ZooferryError("a window of %s pixels is too large: choose a smaller tile" % " x ".join(map(str, shape)))
    buffer = ByteBuffer.allocateDirect(pixels * 4).order(ByteOrder.nativeOrder()).asFloatBuffer()
    return buffer, OnnxTensor.createTensor(OrtEnvironment.getEnvironment(), buffer, shape)


def _only_name(infos, what):
    names = list(infos.keySet())
    if len(names) != 1:
        raise ZooferryError("the ONNX file has %d %s, this version runs one: %s" % (len(names), what, ", ".join(names)))
    kind = infos.get(names[0]).getInfo().type
    if kind != OnnxJavaType.FLOAT:
        raise ZooferryError("the ONNX file's %s are %s, this version runs float32: export it so" % (what, kind))
    return names[0]
