"""The command line: each command is one call into the rooms below it. Importing this loads neither torch nor a JVM."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zooferry import __version__
from zooferry.cli_benchmark import add_benchmark
from zooferry.cli_degrade import add_degrade
from zooferry.cli_fiji import add_fiji
from zooferry.cli_labels import add_labels
from zooferry.cli_models import add_models
from zooferry.cli_train import add_learning_curve, add_train
from zooferry.errors import ZooferryError

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

DESCRIPTION = (
    "Train microscopy restoration, package it for the zoo, run it in ImageJ, and prove that the numbers agree."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns
    -------
    int
        Exit code: 0 if all went well, 1 for a refusal or a failed check, 2 for a wrong command line, 130 after
        Ctrl-C.
    """
    # read when torch is loaded: threads that wait asleep. Beside other busy programs that is 4 times as fast (174
    # instead of 40 training steps in 15 s on two cores), because a spinning thread holds the core the other one needs
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    options = build_parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except ZooferryError as error:
        print(f"zooferry: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("zooferry: stopped by Ctrl-C", file=sys.stderr)
        return 130


def say(line: str) -> None:
    """Progress goes to standard error, so that results can be piped."""
    print(line, file=sys.stderr, flush=True)


def build_parser() -> argparse.ArgumentParser:
    """The whole command line; later commands are added here."""
    parser = argparse.ArgumentParser(prog="zooferry", description=DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"zooferry {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for add in (_add_demo, _add_simulate, add_degrade, _add_methods, add_models):
        add(commands)
    for add in (add_train, add_learning_curve, add_benchmark, add_labels):
        add(commands)
    for add in (_add_predict, _add_evaluate, _add_package, _add_check, _add_imagej, add_fiji, _add_doctor):
        add(commands)
    return parser


def _add_demo(commands: Commands) -> None:
    p = commands.add_parser("demo", help="the whole chain: train, package, check, restore in ImageJ, report")
    p.add_argument("--images", type=Path, metavar="DIR", help="your noisy images (default: simulated)")
    p.add_argument("--targets", type=Path, metavar="DIR", help="their clean partners, of the same names")
    p.add_argument("--out", type=Path, default=Path("zooferry-demo"), metavar="DIR")
    p.add_argument("--seconds", type=float, default=120.0, metavar="N", help="training time of each method")
    p.set_defaults(run=_demo)


def _demo(options: argparse.Namespace) -> int:
    from zooferry.demo import run_demo

    report, passed = run_demo(options.out, options.images, options.targets, seconds=options.seconds, say=say)
    print(report)
    return 0 if passed else 1


def _add_simulate(commands: Commands) -> None:
    p = commands.add_parser("simulate", help="make sample acquisitions with known truth and labels")
    p.add_argument("--out", type=Path, required=True, metavar="DIR")
    p.add_argument("--kind", choices=("cells", "tubes", "granules", "surface"), default="cells")
    p.add_argument("--dims", type=int, choices=(2, 3), help="(default: 2, and 3 for a surface)")
    p.add_argument("--photons", type=float, default=30.0, help="of the brightest structures, per pixel")
    p.add_argument("--seed", type=int, default=0)
    p.set_defaults(run=_simulate)


def _simulate(options: argparse.Namespace) -> int:
    from zooferry.simulation import default_settings, write_simulation

    dims = options.dims or (3 if options.kind == "surface" else 2)
    settings = default_settings(dims, photons=options.photons, kind=options.kind)
    write_simulation(
        options.out, settings, seed=options.seed, on_progress=lambda done, of: say(f"image {done} of {of}")
    )
    print(options.out)
    return 0


def _add_methods(commands: Commands) -> None:
    p = commands.add_parser("methods", help="list the methods: dimensions, data they need, paper")
    p.set_defaults(run=_methods)


def _methods(_: argparse.Namespace) -> int:
    from zooferry.methods import METHODS

    for method in METHODS:
        print(f"{method.name:10} {method.title}")
        print(f"           {' and '.join(f'{d}D' for d in method.dims)}; needs {method.data}")
        print(f"           {method.paper}")
    from zooferry.recipes import names, title

    print("recipes, for train and degrade --recipe NAME:")
    for name in names():
        print(f"       {name:11} {title(name)}")
    return 0


def _add_predict(commands: Commands) -> None:
    p = commands.add_parser("predict", help="restore images in Python")
    _add_model_and_images(p)
    p.add_argument("--tile", type=int, metavar="PIXELS", help="tile length (default: automatic)")
    p.add_argument("--trust-code", action="store_true", help="let the package's own Python code run")
    _add_diameter(p)
    p.set_defaults(run=_predict)


def _add_diameter(p: argparse.ArgumentParser) -> None:
    words = "of the objects, for a model that has learnt one size (default, 0: estimated)"
    p.add_argument("--diameter", type=float, metavar="PIXELS", help=words)


def _add_model_and_images(p: argparse.ArgumentParser) -> None:
    p.add_argument("model", type=Path, metavar="MODEL", help="run folder, package folder or zip")
    p.add_argument("images", type=Path, nargs="+", metavar="IMAGE")
    p.add_argument("--out", type=Path, required=True, metavar="DIR")


def _predict(options: argparse.Namespace) -> int:
    from zooferry.restoring import restore_files

    more = {"tile": options.tile, "trust_code": options.trust_code, "diameter": options.diameter}
    failed = restore_files(options.model, options.images, options.out, say=say, **more)
    return _summary(failed, len(options.images))


def _summary(failed: int, count: int) -> int:
    if failed:
        print(f"zooferry: {failed} of {count} images could not be restored; see the lines above", file=sys.stderr)
    return 1 if failed else 0


def _add_evaluate(commands: Commands) -> None:
    p = commands.add_parser("evaluate", help="score a model against clean references")
    p.add_argument("model", type=Path, metavar="MODEL", help="run folder, package folder or zip")
    p.add_argument("--images", type=Path, required=True, metavar="DIR")
    p.add_argument("--targets", type=Path, metavar="DIR", help="clean partners; without them there are no scores")
    p.add_argument("--labels", type=Path, metavar="DIR", help="true label images, for a model of segmentation")
    p.add_argument("--out", type=Path, required=True, metavar="DIR")
    p.add_argument("--noise", type=float, default=0.0, metavar="SIGMA", help="with --labels: noise to add, grey values")
    p.add_argument("--seed", type=int, default=0, help="of the noise")
    p.add_argument("--baselines", action="store_true", help="score tuned classical filters too: was it worth it?")
    p.add_argument("--tune-images", type=Path, metavar="DIR", help="pairs on which the filters are tuned")
    p.add_argument("--tune-targets", type=Path, metavar="DIR", help="(default: the scored ones)")
    _add_diameter(p)
    p.add_argument("--psf", metavar="YAML", help="'{kind: gaussian, sigma_um: 0.15}': adds the deconvolutions")
    p.set_defaults(run=_evaluate)


def _evaluate(options: argparse.Namespace) -> int:
    if options.labels is not None:
        return _evaluate_labels(options)
    if options.diameter is not None:
        raise ZooferryError("--diameter is for segmentations; give their true labels with --labels DIR")
    if options.noise:
        raise ZooferryError("--noise is added to images with label images; give these with --labels DIR")
    from zooferry.evaluation import evaluate_model
    from zooferry.evaluation_tables import score_table

    choice = None
    if options.baselines or options.psf or options.tune_images or options.tune_targets:
        from zooferry.baselines import BaselineChoice
        from zooferry.settings import read_settings

        psf = read_settings(None, [f"psf={options.psf}"])["psf"] if options.psf else None
        choice = BaselineChoice(options.tune_images, options.tune_targets, psf)
    scores = evaluate_model(options.model, options.images, options.targets, options.out, say=say, baselines=choice)
    print(score_table(scores))
    if choice:
        print(scores.about["verdict"])
    say(f"report: {options.out / 'report.html'}")
    return 0


def _evaluate_labels(options: argparse.Namespace) -> int:
    from zooferry.segmentation_evaluation import Scene, evaluate_segmentation, score_table

    for name in ("targets", "baselines", "psf"):
        if getattr(options, name):
            raise ZooferryError(f"--{name} scores restorations, --labels segmentations; leave one of them away")
    scene = Scene(
        options.images, options.labels, options.noise, options.seed, options.tune_images, options.tune_targets
    )
    report = evaluate_segmentation(options.model, scene, options.out, say=say, diameter=options.diameter)
    print(score_table(report))
    say(f"report: {options.out / 'report.html'}")
    return 0


def _add_package(commands: Commands) -> None:
    p = commands.add_parser("package", help="make a bioimage.io package of a run")
    p.add_argument("run_folder", type=Path, metavar="RUN", nargs="?")
    p.add_argument("--card", type=Path, metavar="card.yaml", help="authors, licence, tags ...")
    p.add_argument("--init-card", type=Path, metavar="card.yaml", help="write a card to fill in, and stop")
    p.add_argument("--bake", action="store_true", help="percentile normalisation inside the network; whole images only")
    p.add_argument("--labels-step", action="store_true", help="one output of labels, made by a step of the format")
    p.add_argument("--example", type=Path, metavar="IMAGE", help="test image (default: a part of a validation image)")
    p.add_argument("--bits", type=int, metavar="N", help="significant bits of the weights (8 halves the zip)")
    p.add_argument("--out", type=Path, metavar="model.zip")
    p.set_defaults(run=_package)


def _package(options: argparse.Namespace) -> int:
    if options.init_card is not None:
        from zooferry.card import write_template

        write_template(options.init_card)
        print(options.init_card)
        return 0
    if options.run_folder is None or options.out is None:
        raise ZooferryError("a run and a name for the package are needed: zooferry package RUN --out model.zip")
    from zooferry.packager import package_run

    said = {name: getattr(options, name) for name in ("card", "bake", "example", "labels_step", "bits")}
    print(package_run(options.run_folder, options.out, say=say, **said))
    return 0


def _add_check(commands: Commands) -> None:
    p = commands.add_parser("check", help="run a package in every host and compare the numbers")
    p.add_argument("model", type=Path, metavar="model.zip")
    p.add_argument("--host", action="append", metavar="NAME", help="only this host; may be repeated")
    p.add_argument("--profile", action="append", metavar="NAME", help="fiji or zoo: the linter's errors count")
    p.add_argument("--trust-code", action="store_true", help="let the package's own Python code run")
    p.add_argument("--out", type=Path, metavar="DIR", help="where report.json and report.html go")
    p.set_defaults(run=_check)


def _check(options: argparse.Namespace) -> int:
    from zooferry.check import check_package

    profiles = tuple(options.profile or ())
    report = check_package(
        options.model,
        hosts=options.host,
        out=options.out,
        on_line=say,
        trust_code=options.trust_code,
        profiles=profiles,
    )
    if profiles:
        from zooferry.linting import text

        print(text(report.findings))
    return 0 if report.passed else 1


def _add_imagej(commands: Commands) -> None:
    p = commands.add_parser("imagej", help="run a package in headless ImageJ")
    actions = p.add_subparsers(required=True, metavar="ACTION")
    r = actions.add_parser("run", help="restore images in ImageJ, without Python inference")
    _add_model_and_images(r)
    r.add_argument("--tile", type=int, metavar="PIXELS", help="tile length (default: from free memory)")
    r.add_argument("--engine", choices=("onnx", "torchscript"), help="(default: ONNX where the package has it)")
    r.set_defaults(run=_imagej)


def _imagej(options: argparse.Namespace) -> int:
    from zooferry.hosts.imagej import run_images
    from zooferry.package import open_package, verify_files
    from zooferry.restoring import result_paths

    result_paths(options.images, options.out)
    new = not options.out.exists()
    with open_package(options.model) as package:
        verify_files(package)
        results = run_images(package.folder, options.images, options.out, tile=options.tile, engine=options.engine)
    if new and not any(options.out.iterdir()):
        options.out.rmdir()
    if len(results) == 1 and results[0].message:
        raise ZooferryError(results[0].message)
    for result in results:
        say(f"{result.source.name}: {result.message or result.result}")
    return _summary(sum(bool(r.message) for r in results), len(results))


def _add_doctor(commands: Commands) -> None:
    p = commands.add_parser("doctor", help="what is installed, what is missing, and the cure")
    p.set_defaults(run=_doctor)


def _doctor(_: argparse.Namespace) -> int:
    from zooferry.doctor import examine, table

    findings = examine()
    print(table(findings))
    return 1 if any(f.status == "missing" for f in findings) else 0


if __name__ == "__main__":
    sys.exit(main())
