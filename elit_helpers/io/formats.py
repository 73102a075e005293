"""From a path to a picture: which reader opens it, which of its signals is meant, and folders of frames."""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from elit_helpers.core.checks import EngineMissing
from elit_helpers.io import rosettasciio
from elit_helpers.io.frames import Signal
from elit_helpers.io.readers import READERS

_BROKEN = (OSError, EOFError, KeyError, IndexError, UnicodeDecodeError, zipfile.BadZipFile)
_ANNULAR = re.compile(r"(?:^|[^A-Za-z])(?:HA|MA|LA|M|L)?ADF|annular", re.IGNORECASE)
_SAME_SCALE = 0.01


def readable() -> list[str]:
    """Return the suffixes that are read, in alphabetical order."""
    return sorted(set(READERS) | rosettasciio.suffixes())


def picture(
    path: Path, wanted: int | str | None = None, *, same_scale: bool = True
) -> tuple[Signal, list[str]]:
    """Return the picture that a file or a folder holds, and a line on each signal beside it.

    Parameters
    ----------
    path
        A file; a folder; or a folder with a pattern, such as ``run3/*.tif``.
    wanted
        Which signal, by title or number; None for the first image.
    same_scale
        Refuse a folder whose files state different pixel sizes.

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder.
    ValueError
        If nothing reads it, or it holds no picture.
    EngineMissing
        If its reader needs a package that is not installed.
    """
    if "*" in path.name:
        return _folder(path.parent, sorted(path.parent.glob(path.name)), wanted, same_scale)
    if path.is_dir() and path.suffix.lower() not in rosettasciio.suffixes():
        return _folder(path, sorted(path.iterdir()), wanted, same_scale)
    if not path.exists():
        raise FileNotFoundError(
            f"`path` is {str(path)!r}; there is no such file in {path.absolute().parent}."
        )
    return choose(open_file(path), path.name, wanted)


def open_file(path: Path) -> list[Signal]:
    """Return the signals of one file, none of them read further than needed."""
    suffix = path.suffix.lower()
    own = READERS.get(suffix)
    plugins = rosettasciio.plugins(suffix) if own is None else []
    if own is None and not plugins:
        raise ValueError(
            f"`path` ends in {path.suffix!r}; the formats read are {', '.join(readable())}. "
            "Export the frame as TIFF or save it with numpy.save first."
        )
    if own is not None:
        try:
            return own(path)
        except _BROKEN as error:
            raise ValueError(
                f"{path.name} could not be read as {suffix}: {error}. Is the file whole?"
            ) from error
    failures: list[ValueError | EngineMissing] = []
    for plugin in plugins:  # some suffixes belong to several makers
        try:
            return rosettasciio.read(path, plugin)
        except (ValueError, EngineMissing) as error:
            failures.append(error)
    # a file that one reader found broken matters more than a package that another would need
    raise next((error for error in failures if isinstance(error, ValueError)), failures[0])


def choose(signals: Sequence[Signal], name: str, wanted: int | str | None = None) -> tuple[Signal, list[str]]:
    """Return the signal that is the picture, and a line on each that there is.

    Without a wish it is the first image in real space; of several detectors the first annular dark-field
    one, because atoms are bright in it and heavy ones brighter, which everything after this counts on.

    Raises
    ------
    ValueError
        If there is no image, or not the one wished for.
    """
    lines = [_line(number, signal) for number, signal in enumerate(signals)]
    if wanted is not None:
        titles = [signal.title.lower() for signal in signals]
        if isinstance(wanted, str) and wanted.lower() in titles:
            chosen = signals[titles.index(wanted.lower())]
        elif isinstance(wanted, int) and not isinstance(wanted, bool) and 0 <= wanted < len(signals):
            chosen = signals[wanted]
        else:
            raise ValueError(
                f"`signal` is {wanted!r}; {name} holds {_listed(lines)}. Give a number or a title."
            )
        if chosen.why_not:
            raise ValueError(f"`signal` is {wanted!r}; in {name} that is {chosen.why_not}.")
        return chosen, lines
    images = [signal for signal in signals if not signal.why_not]
    if not images:
        if len(signals) == 1:
            raise ValueError(f"{name} is {_reason(signals[0])}.")
        raise ValueError(f"{name} holds no image or stack of images; it holds {_listed(lines)}.")
    images = [signal for signal in images if not signal.diffraction] or images
    return next((signal for signal in images if _ANNULAR.search(signal.title)), images[0]), lines


def _line(number, signal):
    scale = next((f", {size:.4g} Å/px" for size in signal.sizes if size), "")
    what = signal.why_not or "×".join(map(str, signal.shape)) + scale
    return f"{number}: {signal.title} ({what})"


def _listed(lines):
    return "; ".join(lines) if lines else "nothing"


def _reason(signal):
    if not signal.why_not.startswith("a colour picture"):
        return signal.why_not
    return (
        f"{signal.why_not}. A colour map cannot be turned back into intensities: use the microscope's own "
        "file, or one channel if that is the detector's signal"
    )


def _folder(
    folder: Path, paths: Sequence[Path], wanted: int | str | None, same_scale: bool
) -> tuple[Signal, list[str]]:
    """A folder's frames as one stack, in the order in which a person would count them."""
    if not folder.is_dir():
        raise FileNotFoundError(f"`path` is in {str(folder)!r}; there is no such folder.")
    known = set(readable())
    files = [p for p in paths if p.suffix.lower() in known and not p.name.startswith(".")]
    kinds = Counter(p.suffix.lower() for p in files)
    if not files:
        raise ValueError(
            f"`path` is {str(folder)!r}, in which no file has one of the suffixes {', '.join(sorted(known))}."
        )
    if len(kinds) > 1:
        counts = ", ".join(f"{n} of {suffix}" for suffix, n in kinds.most_common())
        raise ValueError(
            f"`path` is {str(folder)!r}, which holds {counts}. Say which, as in "
            f"load_image({str(folder / ('*' + kinds.most_common(1)[0][0]))!r})."
        )
    files.sort(key=lambda p: [int(s) if s.isdigit() else s.lower() for s in re.split(r"(\d+)", p.name)])
    first, lines = _frame_of(files[0], wanted)

    def read(start, stop):
        return np.stack([_alike(path, wanted, first, files[0], same_scale) for path in files[start:stop]])

    metadata = first.metadata | {"files": [p.name for p in files]}
    shape = (len(files), *first.shape[-2:])
    return Signal(folder.name, shape, first.dtype, read, sizes=first.sizes, metadata=metadata), lines


def _frame_of(path, wanted):
    signal, lines = choose(open_file(path), path.name, wanted)
    if signal.n_frames != 1:
        raise ValueError(
            f"{path.name} holds {signal.n_frames} frames; files of a folder must hold one each. "
            "Load the stacks one by one."
        )
    return signal, lines


def _alike(path, wanted, first, first_path, same_scale):
    """The frame of a file, if it is of the first one's shape and scale."""
    signal, _ = _frame_of(path, wanted)
    if signal.shape[-2:] != first.shape[-2:]:
        raise ValueError(
            f"{path.name} is {signal.shape[-2]}×{signal.shape[-1]} and {first_path.name} is "
            f"{first.shape[-2]}×{first.shape[-1]}; frames of a folder must be of one size"
        )
    for one, other in zip(signal.sizes, first.sizes):
        if same_scale and one and other and abs(one / other - 1) > _SAME_SCALE:
            raise ValueError(
                f"{path.name} states {one:.4f} Å/px and {first_path.name} {other:.4f}: two magnifications. "
                "Give them folders of their own, or pass `pixel_size` if the files are wrong"
            )
    return signal.read(0, 1)[0]
