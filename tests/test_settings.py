"""Settings: values are checked in one place, unknown keys refused, changed ones known."""

import dataclasses

import pytest

from zooferry.errors import ZooferryError
from zooferry.methods.care import CareSettings
from zooferry.methods.n2v import N2VSettings
from zooferry.settings import Settings, build_settings, changed_settings, read_settings, with_batch

CONVERTED = [
    ("steps", "100", 100),
    ("steps", 1e3, 1000),
    ("learning_rate", "1e-4", 1e-4),
    ("learning_rate", 1, 1.0),
    ("augment", "False", False),
    ("augment", True, True),
    ("precision", "bf16-mixed", "bf16-mixed"),
]


@pytest.mark.parametrize(("key", "value", "expected"), CONVERTED)
def test_values_take_the_type_of_the_default(key, value, expected):
    found = getattr(build_settings(Settings, {key: value}), key)
    assert found == expected
    assert type(found) is type(expected)


REFUSED = [
    (Settings, {"stepz": 1}, "unknown setting stepz; allowed: augment, batch"),
    (Settings, {"steps": "many"}, "setting steps is 'many'; allowed: a value of type int"),
    (Settings, {"steps": 1.5}, "setting steps is 1.5"),
    (Settings, {"steps": True}, "setting steps is True"),
    (Settings, {"augment": "perhaps"}, "setting augment is 'perhaps'; allowed: a value of type bool"),
    (Settings, {"learning_rate": 0}, "setting learning_rate is 0.0; allowed: 1e-08 to 10.0"),
    (Settings, {"patch": 63}, "setting patch is 63; allowed: a multiple of 4"),
    (Settings, {"kernel": 4}, "setting kernel is 4; allowed: an odd number"),
    (Settings, {"dims": 4}, "setting dims is 4; allowed: 2, 3, or 0"),
    (Settings, {"precision": "8-bit"}, "setting precision is 8-bit; allowed: 32-true"),
    (CareSettings, {"low": 99.9}, "setting low is 99.9; allowed: 0 to less than high"),
    (CareSettings, {"high": 101}, "setting high is 101.0; allowed: more than low, up to 100"),
    (N2VSettings, {"window": 4}, "setting window is 4; allowed: an odd number"),
    (N2VSettings, {"box": 1}, "setting box is 1; allowed: 2 to the patch's side"),
]


@pytest.mark.parametrize(("kind", "values", "message"), REFUSED)
def test_wrong_settings_are_refused_in_words(kind, values, message):
    with pytest.raises(ZooferryError) as caught:
        build_settings(kind, values)
    assert message in str(caught.value)


@pytest.mark.parametrize(("batch", "dims", "expected"), [(0, 2, 4), (0, 3, 1), (7, 2, 7), (7, 3, 7)])
def test_batch_is_chosen_where_it_is_0(batch, dims, expected):
    assert with_batch(Settings(batch=batch), dims).batch == expected


def test_settings_are_frozen_and_know_what_was_changed():
    settings = build_settings(N2VSettings, {"steps": 5, "patch": N2VSettings().patch})
    assert changed_settings(settings) == {"steps": 5}
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.steps = 6


def test_assignments_override_the_file(tmp_path):
    file = tmp_path / "s.yaml"
    file.write_text("steps: 10\nbatch: 2\n")
    assert read_settings(file, ["steps=20", "augment=false"]) == {"steps": 20, "batch": 2, "augment": False}


@pytest.mark.parametrize(
    ("text", "message"), [("- a\n- b", "holds no fields"), ("a: [", "cannot be read as YAML"), (None, "cannot be read")]
)
def test_unreadable_settings_files_are_refused(tmp_path, text, message):
    file = tmp_path / "s.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ZooferryError, match=message):
        read_settings(file, [])


def test_an_assignment_needs_an_equals_sign():
    with pytest.raises(ZooferryError, match="--set steps: no '='"):
        read_settings(None, ["steps"])
