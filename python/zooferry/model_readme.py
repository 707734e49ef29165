"""The README.md of a package, from what the run knows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zooferry import __version__, methods
from zooferry.degradation import enlarge
from zooferry.files import read_json
from zooferry.methods.outputs import read_outputs
from zooferry.metrics import score
from zooferry.packaged_tensors import Example
from zooferry.tile_effect import tile_words


def write(
    run: Path,
    content: Mapping[str, Any],
    description: Mapping[str, Any],
    example: Example,
    deviations: Mapping[str, float],
) -> str:
    """The package's documentation in Markdown.

    Parameters
    ----------
    run : Path
    content : mapping
        run.json.
    description : mapping
        The rdf's fields.
    example : Example
    deviations : mapping
        Weight format -> largest difference from the PyTorch network.
    """
    facts = methods.facts(content["method"])
    files = read_json(run / "data.json")
    roles = [f["role"] for f in files]
    settings = (run / "settings.yaml").read_text(encoding="utf-8")
    return f"""# {description["name"]}

{description["description"]}

{_picture(content)}Method: {facts.title} ({facts.paper}).
Made with zooferry {__version__}.

## Use

Give it the raw grey values of a {content["dims"]}D image; normalisation is part of the package. {_range(content)}
{_calibration(content)}
{_output(content)}
{tile_words(run, content, example.raw)}

In Fiji: Plugins > Zooferry > Run Zooferry Model. In Python: `zooferry predict MODEL.zip IMAGE.tif --out DIR`.

## Training

{roles.count("training")} images trained the network and {roles.count("validation")} were held out for validation
({content.get("steps", 0)} steps, {content.get("seconds", 0):.0f} s; best at step {content.get("best_step", 0)}).
The SHA-256 of every image is in `config.zooferry` of rdf.yaml.

```yaml
{settings.strip()}
```

# Validation

{_precision(content) if "instances_score" in content else _scores(example)}
The test output was computed by the re-loaded PyTorch weights. Largest difference of the other weight formats from
them on normalised random images of three sizes and two batch sizes:
{", ".join(f"{name} {value:.1e}" for name, value in deviations.items())}.

Do not use it on images of another kind (structure, noise, pixel size) without comparing with a reference there.
"""


def _picture(content: Mapping[str, Any]) -> str:
    if "instances" not in content and "labels_step" not in content:
        return ""
    return "![an image, and the objects that the model finds in it](cover.png)\n\n"


def _range(content: Mapping[str, Any]) -> str:
    low, high = content["intensity_range"]
    return f"The training images lie between {low:g} and {high:g} (percentiles 0.1 and 99.9)."


def _calibration(content: Mapping[str, Any]) -> str:
    size: Mapping[str, float] = content.get("pixel_size", {})
    if not size:
        return "The training images carry no pixel size."
    return "Pixel size: " + ", ".join(f"{a} {v:g}" for a, v in size.items()) + f" {content['unit']}."


def _output(content: Mapping[str, Any]) -> str:
    if "instances" in content:
        words = "These are decoded to label images as `config.zooferry.instances` in rdf.yaml says:"
        heads = [f"- `{output.id}`: {output.description}" for output in read_outputs(content)]
        return "\n".join(["The network gives:", "", *heads, "", words, "", *_decoding(content["instances"])])
    if "labels_step" in content:
        return f"The output is a label image, made by the format's step `{content['labels_step']}`."
    units = "The output is in units of the training targets: about 0 for dark, 1 for bright."
    if content.get("matched") == "affine":
        scale = next(o["kwargs"] for o in content["target"] if o["id"] == "scale_range")
        low, high = scale["min_percentile"], scale["max_percentile"]
        units = (
            f"The output has the scale of the normalised input: 0 and 1 are the input's percentiles {low:g}, {high:g}."
        )
    if content["postprocessing"]:
        units = "The output has the grey values of the input."
    outputs = read_outputs(content)
    if len(outputs) == 1:
        return units
    lines = [f"It has {len(outputs)} outputs. {units.replace('The output', f'`{outputs[0].id}`')}", ""]
    lines += [f"- `{output.id}` ({output.kind}): {output.description}." for output in outputs]
    if "scale_factor" in content:
        lines += [
            "",
            f"The network's scales are multiplied by {content['scale_factor']:g}, chosen on validation images.",
        ]
    return "\n".join(lines)


def _decoding(said: Mapping[str, Any]) -> list[str]:
    return [f"- {key}: {value}" for key, value in said.items()]


def _precision(content: Mapping[str, Any]) -> str:
    return (
        f"The thresholds are those with the best mean average precision (IoU 0.5, 0.6, 0.7) on the validation images, "
        f"{content['instances_score']:.3f}.\n"
    )


def _scores(example: Example) -> str:
    if example.target is None:
        return "There is no clean reference for the example image, so its restoration is not scored here.\n"
    lines = ["Example window of a validation image (affine fit and percentiles as in Weigert 2018):", ""]
    lines += ["| | NRMSE | PSNR (dB) | SSIM |", "|---|---|---|---|"]
    for name, array in (("raw", example.seen), ("restored", example.restored)):
        grown = [t // n for t, n in zip(example.target.shape[1:], array.shape[1:], strict=True)]
        found = score(enlarge(array[0], grown) if max(grown) > 1 else array[0], example.target[0])
        lines.append(f"| {name} | {found.nrmse:.4f} | {found.psnr:.2f} | {found.ssim:.4f} |")
    return "\n".join(lines) + "\n"
