"""A trajectory as a file that moves: a GIF, or a page that needs nothing but a browser."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from elit_helpers.core.checks import PathLike, check_path, check_positive
from elit_helpers.core.files import atomic_write, check_file
from elit_helpers.plots.moving import Moving, MovingStructure, check_trajectory, frame_rows, frame_values
from elit_helpers.plots.style import CYCLE

_ENDINGS = (".gif", ".html")
_DPI = 100
_SHADES = 128  # of the palette: enough for a colour map and for smooth edges


def animate(
    frames: Sequence[Any],
    path: PathLike,
    *,
    log: Any = None,
    fps: float = 12,
    values: Any = None,
    label: str = "",
) -> Path:
    """Write a trajectory, seen from above, as a file that moves; it takes no other program.

    Parameters
    ----------
    frames : sequence of ase.Atoms
        Frames of the same atoms, such as ``run.trajectory``, or that of `unscaled` for the picture's lengths.
    path : path
        ``.gif`` for slides and mails, or ``.html``: one page with a slider that works without a network.
    log : DataFrame, optional
        The run's log; its temperature [K] over time [fs] is drawn beside the structure, with a cursor.
    fps : float
        Frames a second. A GIF counts in hundredths of a second.
    values : str or array of shape (N,) or (F, N), optional
        Colours atoms by these, or by the array of that name, instead of by element.
    label : str
        What the values are, with their unit.

    Returns
    -------
    Path
        Where the file is.

    Raises
    ------
    TypeError
        `frames` is a single structure.
    ValueError
        The ending is another, there is no frame, the frames are not of the same atoms, or `log` has fewer
        rows than there are frames.
    """
    check_file("path", path)
    path = check_path("path", path)
    if path.suffix.lower() not in _ENDINGS:
        raise ValueError(f"`path` is {path.name!r}; name it {' or '.join('*' + e for e in _ENDINGS)}.")
    check_positive("fps", fps, unit="1/s")
    frames = check_trajectory(frames)
    rows = None if log is None else frame_rows(frames, log)
    label = label or (values if isinstance(values, str) else "")
    pictures = _pictures(frames, log, rows, frame_values(frames, values), label)
    write = _gif if path.suffix.lower() == ".gif" else _page
    with atomic_write(path) as target:
        write(pictures, target, fps=fps, title=f"{len(frames)} frames of {frames[0].get_chemical_formula()}")
    return path


def _pictures(frames: list, log: Any, rows: Any, values: Any, label: str) -> Iterator[Any]:
    """Draw the frames one by one, so that no more than one is held."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.8 if log is None else 8.4, 4.8), dpi=_DPI)
    moving = Moving(figure)
    ax = figure.add_axes((0.13, 0.11, 0.84, 0.81) if log is None else (0.07, 0.11, 0.48, 0.81))
    drawn = MovingStructure(moving, ax, frames, values, label)
    where = moving.add(ax.text(1, 1.01, "", transform=ax.transAxes, ha="right", va="bottom"))
    if log is not None:
        curve = figure.add_axes((0.66, 0.11, 0.32, 0.81))
        curve.plot(log["time_fs"], log["temperature_K"], color=CYCLE[0], lw=1.2)
        curve.set(xlabel="time [fs]", ylabel="temperature [K]")
        cursor, times = moving.cursor(curve), np.asarray(log["time_fs"])[rows]
    for number in range(len(frames)):
        drawn.show(number)
        if log is None:
            where.set_text(f"frame {number}")
        else:
            where.set_text(f"{times[number]:.0f} fs")
            cursor.set_xdata([times[number]] * 2)
        yield moving.picture()


def _flat(pictures: Iterator[Any]) -> Iterator[Any]:
    """Give the pictures few colours, the same in all: what stands still then costs nothing."""
    palette = None
    for picture in pictures:
        palette = palette or picture.quantize(_SHADES, method=Image.Quantize.FASTOCTREE)
        yield picture.quantize(palette=palette, dither=Image.Dither.NONE)


def _gif(pictures: Iterator[Any], path: Path, *, fps: float, title: str) -> None:
    pictures, hundredths = _flat(pictures), max(2, round(100 / fps))
    style = {"duration": 10 * hundredths, "loop": 0, "comment": title.encode()}
    next(pictures).save(path, save_all=True, append_images=pictures, **style)


def _page(pictures: Iterator[Any], path: Path, *, fps: float, title: str) -> None:
    sources = []
    for picture in _flat(pictures):
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        sources.append("data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode())
    page = _PAGE.replace("TITLE", html.escape(title)).replace("DELAY", str(round(1000 / fps)))
    page = page.replace("LAST", str(len(sources) - 1))
    path.write_text(page.replace("SOURCES", json.dumps(sources)), encoding="utf-8")


_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>TITLE</title>
<style>body{font:16px sans-serif;margin:1em;max-width:900px}img{max-width:100%}
p{display:flex;gap:1em;align-items:center}input{flex:1}</style></head>
<body><img id="picture" alt="TITLE">
<p><button id="play" type="button">Pause</button>
<input id="frame" type="range" min="0" max="LAST" value="0" aria-label="frame">
<output id="number">0</output></p>
<script>
const sources = SOURCES, frame = document.getElementById("frame"), play = document.getElementById("play");
function show() {
  document.getElementById("picture").src = sources[frame.value];
  document.getElementById("number").textContent = frame.value;
}
function step() { frame.value = (Number(frame.value) + 1) % sources.length; show(); }
let timer = null;
function toggle(run) {
  if (timer !== null) { clearInterval(timer); timer = null; }
  if (run) timer = setInterval(step, DELAY);
  play.textContent = run ? "Pause" : "Play";
}
play.onclick = () => toggle(timer === null);
frame.oninput = () => { toggle(false); show(); };
show();
toggle(!matchMedia("(prefers-reduced-motion: reduce)").matches);
</script></body></html>
"""
