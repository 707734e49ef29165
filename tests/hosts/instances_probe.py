"""Child process of test_imagej_instances.py: decodes stored heads in one headless ImageJ.

python tests/hosts/instances_probe.py job.json: job["cases"] is a list of [declaration, heads.npy, labels.npy], heads
C (Z) Y X; prints, for the last case of each method, the processor seconds of the second call.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

from zooferry.hosts import imagej_worker, jvm
from zooferry.hosts.imagej import fiji_scripts


def main() -> None:
    """Run the job."""
    import jpype

    job = json.loads(Path(sys.argv[1]).read_text())
    interpreter = imagej_worker._interpreter(jvm.start_imagej(), fiji_scripts() / "lib")
    interpreter.exec_("import json; from zooferry_fiji import instances")
    seconds = []
    for declaration, heads_file, labels_file in job["cases"]:
        heads = np.load(heads_file)
        interpreter.set("said", json.dumps(declaration))
        planes = [jpype.JArray(jpype.JFloat)(np.ascontiguousarray(plane).ravel()) for plane in heads]
        interpreter.set("planes", jpype.JArray(jpype.JObject)(planes))
        interpreter.set("size", jpype.JArray(jpype.JInt)(heads.shape[1:]))
        begin = time.process_time()
        interpreter.exec_("labels, sizes = instances.decode(json.loads(said), list(planes), list(size))")
        seconds.append(time.process_time() - begin)
        interpreter.exec_("sizes = json.dumps(list(sizes))")
        sizes = json.loads(str(interpreter.get("sizes")))
        labels = np.asarray(interpreter.get("labels", jpype.JClass("[I")), dtype=np.int32)
        np.save(labels_file, labels.reshape(sizes))
    print("\n" + json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
