"""On real microscope images (marker `real`): the chain learns what it should."""

import numpy as np
import pytest

from zooferry import runs
from zooferry.evaluation import compare_candidates
from zooferry.package import open_model
from zooferry.pairs import read_pairs
from zooferry.restoring import restore_image

pytestmark = pytest.mark.real


@pytest.mark.parametrize("method", ["n2v", "care"])
def test_short_training_on_real_pairs_beats_the_raw_images(real_data, tmp_path, method):
    train, val = (real_data / "restoration_gigadb" / part for part in ("train", "val"))
    runs.train_method(
        method,
        tmp_path / "run",
        images=train / "noisy",
        targets=train / "clean" if method == "care" else None,
        values={"steps": 300, "validate_every": 100},
        seconds=None,
        resume=False,
        say=print,
    )
    pairs = read_pairs(val / "noisy", val / "clean")
    with open_model(tmp_path / "run") as model:
        restored = [restore_image(model, pair.noisy) for pair in pairs]
    report = compare_candidates(pairs, {"restored": restored})
    assert report.mean("raw", "nrmse") == pytest.approx(0.0695, abs=2e-4)  # as measured when the kit was made
    assert report.mean("raw", "ssim") == pytest.approx(0.358, abs=2e-3)
    assert report.mean("restored", "nrmse") < 0.8 * report.mean("raw", "nrmse")
    assert report.mean("restored", "ssim") > report.mean("raw", "ssim") + 0.2


def test_a_real_volume_trains_in_3d(real_data, tmp_path):
    folder = real_data / "volume_ovule_nuclei" / "train" / "images"
    progress = runs.train_method(
        "n2v",
        tmp_path / "run",
        images=folder,
        targets=None,
        values={"steps": 20, "validate_every": 10, "width": 8},
        seconds=None,
        resume=False,
        say=print,
    )
    losses = [row["validation_loss"] for row in progress.history]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]
    with open_model(tmp_path / "run") as model:
        assert model.dims == 3
