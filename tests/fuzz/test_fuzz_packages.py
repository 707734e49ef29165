"""A small part of the fuzzing in every run of the tests, and once more what it has found before."""

import contextlib

import fuzz_packages
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zooferry.errors import ZooferryError
from zooferry.package import open_package
from zooferry.safe_yaml import read_yaml

DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ("inputs", "outputs", "weights", "format_version", "name", "config", "type", "axes", "size", "id")
SMALL = settings(
    max_examples=60, deadline=5000, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.parametrize(("seed", "count"), [(0, 300), *((seed, 1) for seed in fuzz_packages.FOUND_SEEDS)])
def test_mutated_packages_are_used_or_refused(seed, count):
    ended, findings, longest = fuzz_packages.run(count, seed)
    assert findings == []
    assert sum(ended.values()) == count
    assert longest < fuzz_packages.SECONDS


@SMALL
@given(content=st.dictionaries(st.sampled_from(FIELDS), DATA))
def test_any_data_for_a_description(content, tmp_path):
    folder = tmp_path / "package"
    folder.mkdir(exist_ok=True)
    described = {"type": "model", "format_version": "0.5.0"} | content
    (folder / "rdf.yaml").write_text(yaml.safe_dump(described), encoding="utf-8")
    with pytest.raises(ZooferryError), open_package(folder):
        pass


@SMALL
@given(
    text=st.text() | st.lists(st.sampled_from(["*a", "&a ", "[", "]", "{", "- ", ": ", "\n", "x", "  "])).map("".join)
)
def test_any_text_for_yaml(text, tmp_path):
    file = tmp_path / "rdf.yaml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    with contextlib.suppress(ZooferryError):
        assert isinstance(read_yaml(file), dict)
