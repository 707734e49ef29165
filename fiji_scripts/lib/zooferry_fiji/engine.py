"""ONNX Runtime: the only file that touches the engine's classes."""

from ai.onnxruntime import OnnxJavaType, OnnxTensor, OrtEnvironment, OrtException, OrtSession
from java.lang import LinkageError, Runnable, Runtime, System, Thread
from java.nio import ByteBuffer, ByteOrder
from java.util import Collections, LinkedHashMap

from .errors import CancelledError, NoMemoryError, UnsupportedError, ZooferryError
from .open_networks import opened

LARGEST_BUFFER = 2**31 - 1  # bytes, a limit of Java


class Network(object):
    """An open ONNX session with inputs and outputs of 32-bit pixels."""

    def __init__(self, session, threads):
        self.session = session
        self.threads = threads
        self.engine = "ONNX Runtime %s (Java)" % OrtEnvironment.getEnvironment().getVersion()
        self.sources = _names(session.getInputInfo(), "inputs")
        self.results = _names(session.getOutputInfo(), "outputs")
        self._window = None

    def window(self, shapes_in, shapes_out):
        """Buffers for windows of one shape per tensor (B C (Z) Y X); kept until other shapes are asked for."""
        if self._window is None or self._window.shapes != (shapes_in, shapes_out):
            self.release()
            self._window = Window(self, shapes_in, shapes_out)
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
    """Direct buffers that the network reads and writes in place: `sources` and `results`, one per tensor."""

    def __init__(self, network, shapes_in, shapes_out):
        for names, shapes, what in ((network.sources, shapes_in, "inputs"), (network.results, shapes_out, "outputs")):
            if len(names) != len(shapes):
                raise ZooferryError(
                    "the ONNX file has %d %s, the description %d: package the model again"
                    % (len(names), what, len(shapes))
                )
        self.shapes = (shapes_in, shapes_out)
        self.seconds = 0.0
        self._session = network.session
        self._options = OrtSession.RunOptions()
        self._stopped = False
        self._tensors = []
        self._inputs, self._outputs = LinkedHashMap(), LinkedHashMap()
        self.sources = [self._add(self._inputs, name, shape) for name, shape in zip(network.sources, shapes_in)]
        self.results = [self._add(self._outputs, name, shape) for name, shape in zip(network.results, shapes_out)]

    def _add(self, tensors, name, shape):
        buffer, tensor = _tensor(shape)
        self._tensors.append(tensor)
        tensors.put(name, tensor)
        return buffer

    def run(self):
        """The network on `sources`; afterwards its outputs stand in `results`. Adds to `seconds`."""
        begin = System.nanoTime()
        for buffer in self.sources:
            buffer.clear()
        self._stopped = False
        self._options.setTerminate(False)
        try:
            self._session.run(self._inputs, Collections.emptySet(), self._outputs, self._options).close()
        except OrtException as problem:
            if self._stopped:
                raise CancelledError()
            if "llocate" in problem.getMessage() or "bad_alloc" in problem.getMessage():
                raise NoMemoryError("ONNX Runtime found no memory: choose a smaller tile")
            sizes = ", ".join(" x ".join(map(str, shape)) for shape in self.shapes[0])
            raise ZooferryError(
                "the network failed on a window of %s, try a smaller tile: %s"
                % (sizes, " ".join(problem.getMessage().split()))
            )
        self.seconds += (System.nanoTime() - begin) / 1e9
        for buffer in self.results:
            buffer.clear()

    def stop(self):
        """End a `run` that goes on in another thread, in the middle of the network: it raises CancelledError."""
        self._stopped = True
        self._options.setTerminate(True)

    def close(self):
        self._options.close()
        for tensor in self._tensors:
            tensor.close()


def open_network(path, threads):
    """The network of an ONNX file; an unchanged file stays open between calls.

    Parameters
    ----------
    path : str
    threads : int
        Threads inside an operator; 0: one per processor.
    """
    threads = threads or Runtime.getRuntime().availableProcessors()
    return opened(path, threads, lambda: _network(path, threads))


class _Environment(Runnable):
    # Reading the environment's command line, ONNX Runtime 1.29 goes as deep as that is long: with the 40 kB class path
    # of a Fiji started as java -cp ... it ended Java ("Segmentation fault", observed). So the first call gets a stack
    # of 64 MB.
    problem = None

    def run(self):
        try:
            OrtEnvironment.getEnvironment()
        except LinkageError as problem:
            self.problem = problem


def _start():
    environment = _Environment()
    thread = Thread(None, environment, "zooferry-onnxruntime", 64 << 20)
    thread.start()
    thread.join()
    if environment.problem is not None:
        raise environment.problem


def _network(path, threads):
    try:
        _start()
        return Network(_session(path, threads), threads)
    except OrtException as problem:
        raise ZooferryError("ONNX Runtime cannot open %s: %s" % (path, " ".join(problem.getMessage().split())))
    except LinkageError as problem:
        raise ZooferryError("ONNX Runtime has no native library for this computer: %s" % problem.getMessage())


def _session(path, threads):
    options = OrtSession.SessionOptions()
    try:
        options.setIntraOpNumThreads(threads)
        options.setInterOpNumThreads(1)
        return OrtEnvironment.getEnvironment().createSession(path, options)
    finally:
        options.close()


def _tensor(shape):
    pixels = 1
    for length in shape:
        pixels *= length
    if pixels * 4 > LARGEST_BUFFER:
        raise ZooferryError("a window of %s pixels is too large: choose a smaller tile" % " x ".join(map(str, shape)))
    buffer = ByteBuffer.allocateDirect(pixels * 4).order(ByteOrder.nativeOrder()).asFloatBuffer()
    return buffer, OnnxTensor.createTensor(OrtEnvironment.getEnvironment(), buffer, shape)


def _names(infos, what):
    names = list(infos.keySet())
    for name in names:
        kind = getattr(infos.get(name).getInfo(), "type", "no tensors")
        if kind != OnnxJavaType.FLOAT:
            raise UnsupportedError(
                "the ONNX file's %s are %s, and ImageJ runs float32 only yet: export it so" % (what, kind)
            )
    return names
