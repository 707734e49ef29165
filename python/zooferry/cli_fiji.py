"""`zooferry fiji ...`: each sub-command is one call into `zooferry.fiji`. Importing this loads nothing heavy."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zooferry.cli import Commands


def say(line: str) -> None:
    """Progress goes to standard error."""
    print(line, file=sys.stderr, flush=True)


def add_fiji(commands: Commands) -> None:
    """Add ``fiji`` and its actions to the command line; a new action is one more function in the tuple."""
    p = commands.add_parser(
        "fiji", help="install into Fiji, look after it there, run models in it, make a zip for others"
    )
    actions = p.add_subparsers(required=True, metavar="ACTION")
    for add in (_add_install, _add_uninstall, _add_status, _add_bundle, _add_run):
        add(actions)


def _fiji_folder(p: argparse.ArgumentParser) -> None:
    p.add_argument("fiji", type=Path, metavar="FIJI_DIR", help="Fiji's folder (Fiji.app, Fiji), or the one around it")


def _add_install(actions: Commands) -> None:
    p = actions.add_parser("install", help="put menu commands, library, macros and ONNX Runtime into Fiji; upgrade")
    _fiji_folder(p)
    p.add_argument("--torchscript", action="store_true", help="LibTorch too, for models without ONNX (120 MB)")
    p.set_defaults(run=_install)


def _install(options: argparse.Namespace) -> int:
    from zooferry.fiji.install import install

    done = install(options.fiji, torchscript=options.torchscript, say=say)
    print("\n".join(done.lines()))
    say("start Fiji again, then see Plugins > Zooferry > Check Zooferry Installation")
    return 0 if done.up_to_date else 1


def _add_uninstall(actions: Commands) -> None:
    p = actions.add_parser("uninstall", help="take out exactly what was installed; models stay")
    _fiji_folder(p)
    p.set_defaults(run=_uninstall)


def _uninstall(options: argparse.Namespace) -> int:
    from zooferry.fiji.install import uninstall

    uninstall(options.fiji, say=say)
    return 0


def _add_status(actions: Commands) -> None:
    p = actions.add_parser("status", help="which version is installed, what is missing, changed or outdated")
    _fiji_folder(p)
    p.set_defaults(run=_status)


def _status(options: argparse.Namespace) -> int:
    from zooferry.fiji.install import status

    found = status(options.fiji)
    print("\n".join(found.lines()))
    return 0 if found.up_to_date else 1


def _add_bundle(actions: Commands) -> None:
    p = actions.add_parser("bundle", help="a zip to unpack over Fiji, for users without Python")
    p.add_argument("--out", type=Path, required=True, metavar="zooferry-fiji.zip")
    p.add_argument("--model", type=Path, action="append", metavar="MODEL.zip", help="default: a small example model")
    p.add_argument("--update-site", type=Path, metavar="DIR", help="also the folder that an update site is made of")
    p.set_defaults(run=_bundle)


def _bundle(options: argparse.Namespace) -> int:
    from zooferry.fiji.bundle import make_bundle

    print(make_bundle(options.out, models=options.model, update_site=options.update_site, say=say))
    return 0


def _add_run(actions: Commands) -> None:
    p = actions.add_parser("run", help="restore images in Fiji, headless, by the menu command's macro line")
    p.add_argument("model", type=Path, metavar="MODEL", help="package folder or zip")
    p.add_argument("images", type=Path, nargs="+", metavar="IMAGE")
    p.add_argument("--out", type=Path, required=True, metavar="DIR")
    p.add_argument("--fiji", type=Path, metavar="FIJI_DIR", help="(default: FIJI_HOME, or ~/Fiji.app)")
    p.add_argument("--tile", type=int, metavar="PIXELS", help="tile length (default: from free memory)")
    p.add_argument("--engine", choices=("onnx", "torchscript"), help="(default: ONNX where the package has it)")
    p.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from zooferry.hosts.fiji import restore_files

    failed = restore_files(
        options.model,
        options.images,
        options.out,
        fiji=options.fiji,
        tile=options.tile,
        engine=options.engine,
        say=say,
    )
    if failed:
        say(f"zooferry: {failed} of {len(options.images)} images could not be restored; see the lines above")
    return 1 if failed else 0
