"""Child process of test_imagej.py: one headless ImageJ for many small questions.

python tests/hosts/jython_probe.py job.json: job["runs"] is a list of [package, image, out], job["code"] Jython code
that sets `answer`. Prints one JSON object.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from zooferry.hosts import imagej_worker, jvm
from zooferry.hosts.imagej import fiji_scripts


def main() -> None:
    """Run the job."""
    job = json.loads(Path(sys.argv[1]).read_text())
    jimport = jvm.start_imagej()
    jimport("ij.macro.Interpreter").batchMode = True
    interpreter = imagej_worker._interpreter(jimport, fiji_scripts() / "lib")
    events = []
    for package, image, out in job.get("runs", []):
        one = {"package": package, "images": [image], "out": out}
        settings = {"tile": 0, "threads": 1, "fiji_scripts": str(fiji_scripts())}
        events.append(imagej_worker._restore(jimport, interpreter, {**one, **settings}))
    answer = ""
    if "code" in job:
        jimport("java.lang.Thread").currentThread().setName("Run$_probe")  # only such threads have macro options
        interpreter.exec_(job["code"])
        answer = imagej_worker._text(interpreter, "answer")
    print("\n" + json.dumps({"events": events, "answer": answer}))


if __name__ == "__main__":
    main()
