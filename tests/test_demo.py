"""The whole chain in one command, on a few small pairs and with a real JVM."""

import json

import pytest

from zooferry.demo import run_demo
from zooferry.errors import ZooferryError
from zooferry.hosts import HOSTS
from zooferry.images import read_image


@pytest.mark.jvm
def test_demo_runs_twice_and_leaves_what_it_promises(pairs_2d, tmp_path):
    out = tmp_path / "demo"
    for _ in range(2):
        report, passed = run_demo(out, pairs_2d / "noisy", pairs_2d / "clean", seconds=3, say=print)
        assert passed
    assert report == (out / "report.html").resolve()
    content = json.loads((out / "report.json").read_text())
    for name in ("n2v", "care"):
        assert (out / f"{name}.zip").is_file()
        found = {h["host"]: (h["status"], h["reason"]) for h in content["packages"][name]["hosts"]}
        assert list(found) == list(HOSTS)
        for host, (status, reason) in found.items():  # a Fiji is there or not
            assert status == "passed" or (host in ("fiji", "deepimagej") and status == "skipped" and reason), (
                host,
                reason,
            )
        (restored,) = (out / "restored" / name).glob("*.tif")
        assert read_image(restored).attrs["pixel_size"] == pytest.approx({"y": 0.1, "x": 0.1})
    assert all(row["mismatched_ppm"] == 0 for row in content["imagej_minus_python"])
    assert list(content["scores"]["mean"]) == ["raw", "gaussian", "n2v", "care"]
    page = report.read_text()
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "<script src" not in page


def test_demo_touches_no_foreign_files(pairs_2d, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.txt").write_text("mine")
    with pytest.raises(ZooferryError, match=r"data holds thesis\.txt, which no demo made; choose another --out"):
        run_demo(tmp_path, pairs_2d / "noisy", pairs_2d / "clean", seconds=1, say=print)
    assert (tmp_path / "data" / "thesis.txt").read_text() == "mine"
