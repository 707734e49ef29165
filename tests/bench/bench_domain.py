"""How many images are outside of the domain of others: no training, features only.

python tests/bench/bench_domain.py TRAIN [FOLDER ...]

TRAIN and the other folders hold TIFFs; time points, and slices of a stack, count by themselves. Printed are for each
folder how many are outside and by which findings; for TRAIN how many are outside of the domain of its other images
(leave one out); how many fields of noise alone are outside; milliseconds per plane.
"""

from __future__ import annotations

import argparse
import re
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from zooferry import axes, domain
from zooferry.images import list_images, read_image


def planes(folder: Path) -> list[np.ndarray]:
    """Every plane of a folder's images, C Y X."""
    return [array for path in list_images(folder) for _, array in axes.samples(read_image(path), 2)]


def noise(count: int) -> list[np.ndarray]:
    """Fields of Poisson noise of 0.05 to 500 photons on a camera."""
    rng = np.random.default_rng(0)
    photons = np.geomspace(0.05, 500, count)
    return [rng.poisson(p, (1, 512, 512)) + np.rint(rng.normal(100, 1.6, (1, 512, 512))) for p in photons]


def tell(name: str, known: dict[str, object], images: Sequence[np.ndarray]) -> None:
    """One line per group of images, and one per finding."""
    started = time.process_time()
    verdicts = [domain.judge(known, image) for image in images]
    each = 1000 * (time.process_time() - started) / len(images)
    print(f"{name}: {sum(bool(v.outside) for v in verdicts)} of {len(images)} outside ({each:.1f} CPU ms each)")
    kinds = Counter(
        re.sub(r"-?\d[\d.]*(e[+-]\d+)?", "#", words.partition(";")[0]) for v in verdicts for words in v.outside
    )
    for words, count in kinds.most_common():
        print(f"    {count:4} {words}")


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("train", type=Path)
    parser.add_argument("folders", type=Path, nargs="*")
    options = parser.parse_args()
    trained = planes(options.train)
    known = domain.measure(trained)
    for name, bounds in known["channels"][0].items():
        print(f"{name:13} seen {bounds['seen']} allowed {bounds['allowed']}")
    for folder in options.folders:
        tell(str(folder), known, planes(folder))
    left = [domain.judge(domain.measure([*trained[:i], *trained[i + 1 :]]), a) for i, a in enumerate(trained)]
    print(f"leave one out: {sum(bool(v.outside) for v in left)} of {len(trained)} outside")
    tell("noise alone", known, noise(20))


if __name__ == "__main__":
    main()
