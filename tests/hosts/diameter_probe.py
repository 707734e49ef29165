"""Child process of test_imagej_diameter.py: restores images in one headless ImageJ, each with its own settings.

python tests/hosts/diameter_probe.py job.json: job["runs"] is a list of [image, package, settings, result.tif]; prints
what came of each, as JSON: the provenance, or the refusal.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from zooferry.hosts import imagej_worker, jvm
from zooferry.hosts.imagej import fiji_scripts

CODE = """
image = IJ.openImage(one[0])
restored, status, details = run.command(image, one[1], options=one[2])
said.append(status)
if restored:
    IJ.saveAsTiff(restored[-1], one[3])
    said[-1] = restored[-1].getInfoProperty()
"""


def main() -> None:
    """Run the job."""
    job = json.loads(Path(sys.argv[1]).read_text())
    interpreter = imagej_worker._interpreter(jvm.start_imagej(), fiji_scripts() / "lib")
    interpreter.exec_("import json; from ij import IJ; from zooferry_fiji import run; said = []")
    for one in job["runs"]:
        interpreter.set("given", json.dumps(one))
        interpreter.exec_("one = json.loads(given)\n" + CODE)
    interpreter.exec_("answer = json.dumps(said)")
    print("\n" + str(interpreter.get("answer")))


if __name__ == "__main__":
    main()
