"""Every rule of the zoo profile that reads a package, with a package that breaks it and one that keeps it."""

from __future__ import annotations

from lint_package import (
    README,
    Change,
    both,
    cover,
    drop,
    none,
    on_both,
    put,
    remove,
    test_tensor,
    write,
)

STATE_DICT_ONLY = drop("weights.torchscript", "weights.onnx")
FIXED = both(put("inputs[0].axes[2].size", 32), put("inputs[0].axes[3].size", 64))
Y_SIZE = "outputs[0].axes[2].size"
PIXEL_01 = on_both(3, "scale", 0.1)


def sizes(y: int, x: int) -> Change:
    """Test tensors of one size."""
    return both(test_tensor("raw", y, x), test_tensor("restored", y, x))


# rule, severity, where, what breaks it, what is like that and keeps it
ZOO: list[tuple[str, str, str, Change, Change]] = [
    ("zoo-fields", "error", "zooferry", put("zooferry", {"a": 1}), put("config.zooferry", {"a": 1})),
    ("zoo-name", "error", "name", put("name", "Good: very"), put("name", "Good (very) +-_ 1")),
    ("zoo-name", "error", "name", put("name", "Good"), put("name", "Goods")),
    ("zoo-name", "warning", "name", put("name", "n" * 65), put("name", "n" * 64)),
    ("zoo-description", "warning", "description", drop("description"), none),
    ("zoo-description", "warning", "description", put("description", "d" * 513), put("description", "d" * 512)),
    ("zoo-authors", "warning", "authors", put("authors", []), none),
    ("zoo-authors", "warning", "authors[0].name", put("authors[0].name", "root"), put("authors[0].name", "Rooth")),
    (
        "zoo-maintainers",
        "warning",
        "maintainers",
        drop("maintainers"),
        both(drop("maintainers"), put("authors[0].github_user", "bioimageiobot")),
    ),
    ("zoo-cite", "warning", "cite", drop("cite"), none),
    ("zoo-cite", "warning", "cite[0].doi", put("cite[0]", {"text": "A", "url": "https://example.org"}), none),
    ("zoo-cite", "error", "cite[0].doi", drop("cite[0].doi"), none),
    ("zoo-license", "warning", "license", drop("license"), put("license", "BSD-3-Clause")),
    ("zoo-license", "warning", "license", put("license", {"source": "LICENSE"}), put("license", "MIT")),
    ("zoo-tags", "warning", "tags", put("tags", []), none),
    ("zoo-git-repo", "warning", "git_repo", drop("git_repo"), none),
    ("zoo-uploader", "warning", "uploader", drop("uploader"), none),
    ("zoo-uploader", "error", "uploader", drop("uploader.email"), drop("uploader.name")),
    ("zoo-version", "warning", "version", drop("version"), put("version", "1.2.3-beta.1")),
    ("zoo-version", "warning", "version", put("version", "v2"), put("version", "2.0.0")),
    ("zoo-timestamp", "warning", "timestamp", drop("timestamp"), put("timestamp", "2026-01-31T12:00:00Z")),
    ("zoo-timestamp", "error", "timestamp", put("timestamp", "last week"), none),
    ("zoo-training-data", "warning", "training_data", drop("training_data"), none),
    ("zoo-parent", "warning", "weights", drop("weights.onnx.parent"), drop("weights.onnx")),
    ("zoo-parent", "error", "weights.onnx.parent", drop("weights.pytorch_state_dict"), none),
    ("zoo-java", "warning", "weights", STATE_DICT_ONLY, drop("weights.onnx")),
    ("zoo-unit", "error", "inputs[0].axes[3].unit", on_both(3, "unit", "um"), on_both(3, "unit", "micrometer")),
    (
        "zoo-unit",
        "error",
        "outputs[0].axes[3].unit",
        both(on_both(3, "unit", "micrometer"), put("outputs[0].axes[3].unit", "nanometer")),
        on_both(3, "unit", "nanometer"),
    ),
    ("zoo-tensor-descriptions", "note", "outputs[0]", drop("outputs[0].description"), none),
    ("zoo-documentation", "warning", "documentation", drop("documentation"), none),
    ("zoo-documentation", "warning", "documentation.source", remove("README.md"), none),
    ("zoo-documentation", "error", "documentation.source", put("documentation", "about.md"), none),
    (
        "zoo-documentation",
        "error",
        "documentation.source",
        both(write("README.txt", README), put("documentation", "README.txt")),
        both(write("about.md", README), put("documentation", "about.md")),
    ),
    (
        "zoo-validation",
        "warning",
        "documentation.source",
        write("README.md", "# Good\nValidation was done.\n"),
        write("README.md", "# Good\n## Validation\nDone.\n"),
    ),
    (
        "zoo-placeholder",
        "warning",
        "documentation.source",
        write("README.md", README + "\nTODO: scores\n"),
        write("README.md", README + "\nNo methodology of todos.\n"),
    ),
    (
        "zoo-placeholder",
        "warning",
        "documentation.source",
        write("README.md", README + "\nPixel size: unknown\n"),
        write("README.md", README + "\nOf unknown structures nothing is promised.\n"),
    ),
    ("zoo-placeholder", "warning", "description", put("description", "Lorem ipsum dolor"), none),
    ("zoo-covers", "warning", "covers", drop("covers"), none),
    ("zoo-covers", "warning", "covers[0].source", cover(100, 75), cover(75, 75)),
    ("zoo-covers", "error", "covers[0].source", remove("cover.png"), none),
    ("zoo-covers", "warning", "covers[0].source", write("cover.png", b"no picture"), none),
    (
        "zoo-covers",
        "error",
        "covers[0].source",
        both(cover(64, 64, "cover.bmp"), put("covers[0]", "cover.bmp")),
        both(cover(64, 64, "cover.gif"), put("covers[0]", "cover.gif")),
    ),
    (
        "zoo-covers",
        "warning",
        "covers[0].source",
        both(put("covers[0]", "cover.svg"), write("cover.svg", b" " * 500_001)),
        both(put("covers[0]", "cover.svg"), write("cover.svg", b" " * 500_000)),
    ),
    ("zoo-test-tensors", "error", "inputs[0].test_tensor", drop("inputs[0].test_tensor"), none),
    ("zoo-test-tensors", "error", "outputs[0].test_tensor", write("test_restored.npy", b"no array"), none),
    (
        "zoo-test-tensors",
        "error",
        "outputs[0].test_tensor",
        test_tensor("restored", 32, 64, value=float("nan")),
        test_tensor("restored", 32, 64, value=-3.0),
    ),
    (
        "zoo-test-tensors",
        "error",
        "outputs[0].test_tensor",
        test_tensor("restored", 32, 64, value=9e-5),
        test_tensor("restored", 32, 64, value=2e-4),
    ),
    ("zoo-sample-tensors", "warning", "inputs[0].sample_tensor", drop("inputs[0].sample_tensor"), none),
    ("zoo-sample-tensors", "error", "outputs[0].sample_tensor", remove("sample_restored.tif"), none),
    ("zoo-test-size", "error", "inputs[0].axes[2].size", sizes(33, 64), sizes(40, 64)),
    ("zoo-test-size", "error", "inputs[0].axes[3].size", sizes(32, 8), sizes(32, 16)),
    (
        "zoo-test-size",
        "error",
        "inputs[0].axes[2].size",
        both(FIXED, sizes(40, 64)),
        both(FIXED, sizes(32, 64)),
    ),
    (
        "zoo-float-size",
        "error",
        "outputs[0].axes[3].size",
        both(PIXEL_01, sizes(32, 96)),
        both(PIXEL_01, sizes(32, 64)),
    ),
    (
        "zoo-float-size",
        "error",
        Y_SIZE,
        test_tensor("restored", 40, 64),
        both(test_tensor("restored", 40, 64), put("outputs[0].axes[2].halo", 4)),
    ),
]
