"""LibTorch by way of DJL, for packages that have TorchScript only: the only file that touches its classes.

Slower than ONNX Runtime (2.3 times the processor time, measured), and its libraries are large: see engine.py first.
"""

import os

from ai.djl import Model
from ai.djl.engine import Engine, EngineException
from ai.djl.ndarray import NDList
from ai.djl.ndarray.types import DataType, Shape
from ai.djl.translate import NoopTranslator, TranslateException
from jarray import array
from java.io import File
from java.lang import Runtime, System
from java.nio import ByteBuffer, ByteOrder

from .errors import UnsupportedError, ZooferryError
from .open_networks import opened


class Network(object):
    """An open TorchScript network; the same face as engine.Network."""

    def __init__(self, model, threads):
        self.engine = "LibTorch %s (DJL)" % Engine.getEngine("PyTorch").getVersion()
        self.threads = threads
        self._model = model

    def window(self, shapes_in, shapes_out):
        """Buffers for windows of one shape per tensor (B C (Z) Y X)."""
        return Window(self._model, shapes_in, shapes_out)

    def close(self):
        self._model.close()


class Window(object):
    """Buffers that the network reads and writes: `sources` and `results`, one per tensor."""

    def __init__(self, model, shapes_in, shapes_out):
        self.shapes = (shapes_in, shapes_out)
        self.seconds = 0.0
        self._model = model
        self._bytes = [ByteBuffer.allocateDirect(_pixels(s) * 4).order(ByteOrder.nativeOrder()) for s in shapes_in]
        self.sources = [one.asFloatBuffer() for one in self._bytes]
        self.results = []

    def run(self):
        """The network on `sources`; afterwards its outputs stand in `results`. Adds to `seconds`."""
        begin = System.nanoTime()
        manager = self._model.getNDManager().newSubManager()
        predictor = self._model.newPredictor(NoopTranslator(None))
        try:
            given = NDList([self._tensor(manager, *one) for one in zip(self._bytes, self.shapes[0])])
            self._take(predictor.predict(given))
        except (TranslateException, EngineException) as problem:
            raise ZooferryError(
                "the network failed on a window of %s, try a smaller tile: %s"
                % (_sizes(self.shapes[0]), " ".join(problem.toString().split())[:500])
            )
        finally:
            predictor.close()
            manager.close()
        self.seconds += (System.nanoTime() - begin) / 1e9

    def _tensor(self, manager, buffer, shape):
        buffer.rewind()
        return manager.create(buffer, Shape(array(shape, "l")), DataType.FLOAT32)

    def _take(self, outputs):
        shapes = [[int(n) for n in one.getShape().getShape()] for one in outputs]
        if shapes != [list(shape) for shape in self.shapes[1]]:
            raise ZooferryError(
                "the network returned %s, the description promises %s: package the model again"
                % (_sizes(shapes), _sizes(self.shapes[1]))
            )
        if [one for one in outputs if one.getDataType() != DataType.FLOAT32]:
            raise UnsupportedError(
                "the network's outputs are not float32, and ImageJ runs nothing else yet: export it so"
            )
        self.results = [one.toByteBuffer().order(ByteOrder.nativeOrder()).asFloatBuffer() for one in outputs]
        outputs.close()


def open_network(path, threads):
    """The network of a TorchScript file.

    Parameters
    ----------
    path : str
    threads : int
        Threads inside an operator; 0: one per processor. The first network of a session decides.
    """
    threads = threads or Runtime.getRuntime().availableProcessors()
    if System.getProperty("ai.djl.pytorch.num_threads") is None:
        System.setProperty("ai.djl.pytorch.num_threads", str(threads))
    return opened(path, threads, lambda: _network(path, threads))


def probe():
    """The engine's name, after LibTorch has computed a sum."""
    manager = Engine.getEngine("PyTorch").newBaseManager()
    try:
        total = manager.ones(Shape(array([3], "l"))).sum().getFloat(array([], "l"))
    finally:
        manager.close()
    if total != 3.0:
        raise ZooferryError("LibTorch computes %s instead of 3" % total)
    return "LibTorch %s (DJL)" % Engine.getEngine("PyTorch").getVersion()


def _network(path, threads):
    try:
        model = Model.newInstance("zooferry", "PyTorch")
        model.load(File(os.path.dirname(path)).toPath(), os.path.basename(path))
    except EngineException as problem:
        raise ZooferryError("LibTorch cannot open %s: %s" % (path, " ".join(problem.toString().split())[:500]))
    return Network(model, threads)


def _pixels(shape):
    result = 1
    for length in shape:
        result *= length
    return result


def _sizes(shapes):
    return ", ".join(" x ".join(map(str, shape)) for shape in shapes)
