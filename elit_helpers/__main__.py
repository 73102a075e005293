"""The commands, as in ``python -m elit_helpers check``.

``run IMAGE --out FOLDER`` takes a picture through to a simulation, ``adapt FRAMES --out ENSEMBLE`` adapts an
ensemble to frames of your own, ``fetch NAME`` downloads a real frame.
"""

from __future__ import annotations

import argparse
import gc
import logging
import signal
import sys

from elit_helpers.core.checks import ElitError
from elit_helpers.core.interrupts import SIGNALS, Hold, stopped_as, terminable


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit status.

    0: done. 1: not possible. 2: wrong usage. 130, 143: stopped by Ctrl-C, by SIGTERM. One line says why.
    """
    options = _parser().parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO if options.verbose else logging.WARNING, format="%(name)s: %(message)s"
    )
    with terminable() as status:
        try:
            return _done(options)
        except KeyboardInterrupt as stop:
            with Hold() as more:
                _complain(options, str(stop) or "stopped.")
                more.forget()
            return status()


def _done(options: argparse.Namespace) -> int:
    try:
        return options.command(options)
    except (ElitError, ValueError, TypeError, OSError) as error:
        if options.verbose:
            logging.getLogger("elit_helpers").exception("in full:")
        _complain(options, str(error))
        return 1


def _complain(options: argparse.Namespace, text: str) -> None:
    sys.stderr.write(f"elit_helpers {options.name}: {' '.join(text.split())}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m elit_helpers", description="From a microscope picture to a simulation."
    )
    commands = parser.add_subparsers(dest="name", required=True, metavar="COMMAND")

    check = commands.add_parser("check", help="is everything here that the notebooks need?")
    check.set_defaults(command=_check)

    run = commands.add_parser("run", help="a picture through to a structure and a simulation")
    _run_arguments(run)

    adapt = commands.add_parser(
        "adapt",
        help="an ensemble for your own frames, by iterative training",
        description="Algorithm 1 on your own frames. Stopped, it goes on when the command is given again.",
    )
    _adapt_arguments(adapt)

    fetch = commands.add_parser("fetch", help="real frames by name, into the cache ($ELIT_CACHE)")
    what = fetch.add_mutually_exclusive_group(required=True)
    what.add_argument("names", nargs="*", default=[], metavar="NAME", help="as --list has them")
    what.add_argument("--list", action="store_true", help="what there is and what is here; downloads nothing")
    what.add_argument("--all", action="store_true", help="everything: more than 3 GB")
    fetch.set_defaults(command=_fetch)
    for each in (check, run, adapt, fetch):
        each.add_argument("-v", "--verbose", action="store_true", help="say more, and errors in full")
    return parser


def _run_arguments(run: argparse.ArgumentParser) -> None:
    run.add_argument(
        "image",
        metavar="IMAGE",
        help="a file or folder of frames, in any format that RosettaSciIO knows; or a name",
    )
    run.add_argument("--out", required=True, metavar="FOLDER", help="where the results go; made if not there")
    run.add_argument(
        "--overwrite",
        action="store_true",
        help="replace files of the same names in it that no earlier run wrote, or that were changed since",
    )
    run.add_argument(
        "--pixel-size", type=float, metavar="Å", help="Å/px; measured from the lattice if not given"
    )
    run.add_argument("--material", default="graphene", help="what the sheet is made of (default: graphene)")
    run.add_argument("--engine", default="auto", help="auto, or a name such as lammps:lcbop (default: auto)")
    run.add_argument(
        "--ensemble", metavar="FOLDER", help="a trained ensemble; the one that ships if not given"
    )
    run.add_argument(
        "--frame", type=int, default=0, help="frame of a stack to take as the structure (default: 0)"
    )
    run.add_argument("--seed", type=int, default=0, help="of the velocities (default: 0)")
    run.set_defaults(command=_run)


def _adapt_arguments(adapt: argparse.ArgumentParser) -> None:
    adapt.add_argument("frames", metavar="FRAMES", help="a file or folder of frames, or a name, as for run")
    adapt.add_argument(
        "--out", required=True, metavar="ENSEMBLE", help="where it goes; must not be there, or be empty"
    )
    adapt.add_argument(
        "--pixel-size", type=float, metavar="Å", help="Å/px; measured from the lattice if not given"
    )
    adapt.add_argument("--material", default="graphene", help="what the sheet is made of (default: graphene)")
    adapt.add_argument(
        "--start",
        metavar="ENSEMBLE|RECIPE",
        help="an ensemble to start from, or a recipe to simulate with, such as realistic or ideal "
        "(default: the ensemble that ships)",
    )
    adapt.add_argument("--rounds", type=int, default=2, help="iterations on the frames (default: 2)")
    adapt.add_argument("--members", type=int, default=5, help="networks in the ensemble (default: 5)")
    adapt.add_argument("--preset", default="class", help="demo, class or paper (default: class)")
    adapt.add_argument(
        "--keep",
        type=lambda text: [int(number) for number in text.split(",")],
        metavar="0,2",
        help="members to keep of the first ensemble; by their scores if not given",
    )
    adapt.add_argument("--seed", type=int, default=0, help="of the training (default: 0)")
    adapt.set_defaults(command=_adapt)


def _check(_options: argparse.Namespace) -> int:
    from elit_helpers.course import check

    return check.main()


def _run(options: argparse.Namespace) -> int:
    from elit_helpers.pipeline.report import check_report_folder, run_image, save_report, summary

    check_report_folder(options.out, overwrite=options.overwrite)
    with stopped_as(lambda said: f"{said or 'stopped'}. Nothing was written; the same command begins anew."):
        report = run_image(
            options.image, pixel_size=options.pixel_size, material=options.material, engine=options.engine,
            ensemble=options.ensemble, frame=options.frame, rng=options.seed, show_progress=True,
        )  # fmt: skip
    written = save_report(report, options.out, overwrite=options.overwrite)
    for warning in report.warnings:
        sys.stderr.write(f"note: {warning}\n")
    sys.stdout.write(f"{summary(report)}{len(written)} files in {options.out}\n")
    return 0


def _adapt(options: argparse.Namespace) -> int:
    from elit_helpers.pipeline.adapt import adapt_ensemble, check_new_folder, how_far, partial_of

    check_new_folder(options.out)
    try:
        with stopped_as(lambda _: f"stopped. {how_far(options.out)}"):
            adapted = adapt_ensemble(
                options.frames, options.out, pixel_size=options.pixel_size, material=options.material,
                start=options.start, rounds=options.rounds, members=options.members, settings=options.preset,
                keep=options.keep, rng=options.seed, progress=True,
            )  # fmt: skip
    except OSError as error:  # such as a full disk
        if not partial_of(options.out).exists():
            raise
        raise OSError(f"{error}. {how_far(options.out)}") from error
    for warning in adapted.warnings:
        sys.stderr.write(f"note: {warning}\n")
    result = adapted.result
    sys.stdout.write(
        f"{result.history.round(3).to_string(index=False)}\n"
        f"{result.stopped}\n"
        f"{len(result.final)} members that know {' and '.join(result.final.classes)}, at "
        f"{adapted.pixel_size:.4f} Å/px ({adapted.pixel_size_source}), in {adapted.folder}\n"
        f"Use it: python -m elit_helpers run IMAGE --ensemble {adapted.folder} --out FOLDER\n"
    )
    return 0


def _fetch(options: argparse.Namespace) -> int:
    from elit_helpers.data.download import DownloadFailed
    from elit_helpers.data.registry import fetch, real_frames

    known = real_frames().set_index("name", drop=False)
    if options.list:
        width = max(map(len, known["name"])) + 2
        for row in known.itertuples():
            sys.stdout.write(f"{row.name:{width}}{'here' if row.here else row.size:16}{row.shows}\n")
        return 0
    failed, names = False, list(known["name"] if options.all else options.names)
    kept = "What was fetched before is whole and in the cache; the same command fetches the others."
    for name in names:
        try:
            with stopped_as(lambda _, name=name: f"stopped while fetching {name}. {kept}"):
                path = fetch(name, progress=True)
        except DownloadFailed as error:  # one that is missing is no reason to go without the others
            sys.stderr.write(f"elit_helpers fetch: {error}\n")
            failed = True
        else:
            row = known.loc[name]
            sys.stdout.write(f"{name}: {path}\n  licence: {row.licence}\n  cite: {row.citation}\n")
    return int(failed)


if __name__ == "__main__":
    exit_status = main()
    if exit_status > 128:  # stopped: what is left of the way out is neither interrupted nor long
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        gc.freeze()  # Python would spend seconds on freeing what torch and AtomAI have loaded
    sys.exit(exit_status)
