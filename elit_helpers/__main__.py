"""The commands, as in ``python -m elit_helpers check``.

``run IMAGE --out FOLDER`` takes a picture through to a simulation, ``fetch NAME`` downloads a real frame.
"""

from __future__ import annotations

import argparse
import logging
import sys

from elit_helpers._common import ElitError


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit status: 0 done, 1 not possible (one line says why), 2 wrong usage."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO if options.verbose else logging.WARNING, format="%(name)s: %(message)s"
    )
    try:
        return options.command(options)
    except (ElitError, ValueError, TypeError, OSError) as error:
        if options.verbose:
            logging.getLogger("elit_helpers").exception("in full:")
        sys.stderr.write(f"elit_helpers {options.name}: {' '.join(str(error).split())}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(f"elit_helpers {options.name}: stopped; nothing was written.\n")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m elit_helpers", description="From a microscope picture to a simulation."
    )
    commands = parser.add_subparsers(dest="name", required=True, metavar="COMMAND")

    check = commands.add_parser("check", help="is everything here that the notebooks need?")
    check.set_defaults(command=_check)

    run = commands.add_parser("run", help="a picture through to a structure and a simulation")
    run.add_argument(
        "image",
        metavar="IMAGE",
        help="a file or folder of frames, in any format that RosettaSciIO knows; or a name",
    )
    run.add_argument("--out", required=True, metavar="FOLDER", help="where the results go; made if not there")
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

    fetch = commands.add_parser("fetch", help="real frames by name, into the cache ($ELIT_CACHE)")
    what = fetch.add_mutually_exclusive_group(required=True)
    what.add_argument("names", nargs="*", default=[], metavar="NAME", help="as --list has them")
    what.add_argument("--list", action="store_true", help="what there is and what is here; downloads nothing")
    what.add_argument("--all", action="store_true", help="everything: more than 3 GB")
    fetch.set_defaults(command=_fetch)
    for each in (check, run, fetch):
        each.add_argument("-v", "--verbose", action="store_true", help="say more, and errors in full")
    return parser


def _check(_options: argparse.Namespace) -> int:
    from elit_helpers import check

    return check.main()


def _run(options: argparse.Namespace) -> int:
    from elit_helpers import pipeline

    pipeline.check_folder(options.out)
    report = pipeline.run_image(
        options.image, pixel_size=options.pixel_size, material=options.material, engine=options.engine,
        ensemble=options.ensemble, frame=options.frame, rng=options.seed, show_progress=True,
    )  # fmt: skip
    written = pipeline.save_report(report, options.out)
    for warning in report.warnings:
        sys.stderr.write(f"note: {warning}\n")
    found = report.provenance
    elements = ", ".join(f"{n} {element}" for element, n in found["elements"].items())
    sys.stdout.write(
        f"{elements} at {report.pixel_size:.4f} Å/px ({report.pixel_size_source}).\n"
        f"{report.choice.name}: {report.choice.reason}\n"
        f"Energy kept to {found['md_energy_drift_meV_per_atom']:.2f} meV/atom over 200 fs.\n"
        f"{len(written)} files in {options.out}\n"
    )
    return 0


def _fetch(options: argparse.Namespace) -> int:
    from elit_helpers import data

    known = data.real_frames().set_index("name", drop=False)
    if options.list:
        width = max(map(len, known["name"])) + 2
        for row in known.itertuples():
            sys.stdout.write(f"{row.name:{width}}{'here' if row.here else row.size:16}{row.shows}\n")
        return 0
    failed = False
    for name in known["name"] if options.all else options.names:
        try:
            path = data.fetch(name, progress=True)
        except data.DownloadFailed as error:  # one that is missing is no reason to go without the others
            sys.stderr.write(f"elit_helpers fetch: {error}\n")
            failed = True
        else:
            row = known.loc[name]
            sys.stdout.write(f"{name}: {path}\n  licence: {row.licence}\n  cite: {row.citation}\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
