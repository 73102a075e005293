"""Every writer of the package on a folder with files of the user's: they stay as they are, to the byte."""

import hashlib
import inspect
import os
import resource
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from tiny_ensembles import ONE, TINY

import elit_helpers as eh
from elit_helpers.__main__ import main
from elit_helpers.core.files import atomic_write
from elit_helpers.data import registry
from elit_helpers.elit.algorithm import ElitResult
from elit_helpers.elit.stages import Checkpoint, Stage
from elit_helpers.pipeline import adapt as adapting
from elit_helpers.pipeline import report as reports

SHEET = eh.sheet("graphene", (9.0, 9.0))
PAIRS = eh.training_set("ideal", 4, rng=0, classes=ONE, size=32)
RESULTS = {"table": pd.DataFrame({"a": [1.5]}), "maps": np.eye(3), "said": "all of them"}
LOG = pd.DataFrame({"time_fs": [0.0, 1.0], "temperature_K": [300.0, 290.0]})


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("picture") / "frame.npy"
    np.save(path, eh.load_movie("development").frames[0][128:320, 128:320])
    return path


@pytest.fixture(scope="module")
def report(picture):
    return eh.run_image(picture)


@pytest.fixture
def world(monkeypatch, report, picture):
    """What takes long is done beforehand: the report, the rounds of Algorithm 1, a download."""
    stages = {"E_final": eh.default_ensemble()}
    history = pd.DataFrame({"stage": ["E_initial", "E_final"], "lattice_score": [0.8, 0.9]})
    frame = pd.DataFrame({"frame": [0]})
    result = ElitResult(history, stages, frame, frame, "All rounds were done.", "E_final")
    monkeypatch.setattr(adapting, "run_elit", lambda *_, **__: result)
    monkeypatch.setattr(reports, "run_image", lambda *_, **__: report)
    monkeypatch.setattr(reports, "overview", lambda _: Figure((1, 1)))
    digest = hashlib.sha256(b"a picture").hexdigest()
    entry = registry.Entry(
        "picture", "frame", "noise", "none", "none", files=(registry.RemoteFile("x", "p.npy", digest, 9),)
    )
    monkeypatch.setattr(registry, "entries", lambda: {"picture": entry})
    monkeypatch.setattr(registry, "_checked", set())
    monkeypatch.setattr(registry, "download", _download)
    monkeypatch.delenv("ELIT_FETCH_BASE", raising=False)
    monkeypatch.setattr("builtins.print", lambda *_, **__: None)
    return lambda name, out: WRITERS[name](out, monkeypatch, picture, report)


def _download(_name, _address, target, **_):
    with atomic_write(target) as part:
        part.write_bytes(b"a picture")


def hand_over(out, patch, write, **options):
    patch.setenv("ELIT_RESULTS", str(out))
    return eh.hand_over("made", write, made_by="a test", **options)


def costs(out, patch):
    patch.setenv("ELIT_RESULTS", str(out))
    eh.begin("03")
    eh.end("03")


def fetch(out, patch):
    patch.setenv("ELIT_CACHE", str(out))
    eh.fetch("picture")


def command(*arguments):
    if main(list(map(str, arguments))):
        raise PermissionError("the command refused")


def run_elit(out):
    """What `run_elit` leaves in the folder of its checkpoint, with nothing trained."""
    stage = Stage(eh.default_ensemble(), {"stage": "E_1"}, pd.DataFrame({"element": ["C"], "reason": [""]}))
    Checkpoint.open(out, {"rounds": 1}, 1).save("E_1", stage)


WRITERS = {
    "write_atoms": lambda out, *_: eh.write_atoms(SHEET, out / "sub" / "POSCAR"),
    "plots.animate": lambda out, *_: eh.plots.animate([SHEET, SHEET], out / "film.gif", log=LOG),
    "run_md": lambda out, *_: eh.run_md(
        SHEET, engine="lammps:tersoff", steps=2, every=1, rng=1, checkpoint=out / "run.npz"
    ),
    "write_structure": lambda out, *_: eh.write_structure(SHEET, out),
    "write_vasp": lambda out, *_: eh.write_vasp(SHEET, out),
    "save_ensemble": lambda out, *_: eh.save_ensemble(eh.default_ensemble(), out),
    "save_results": lambda out, *_: eh.save_results(RESULTS, out),
    "train_ensemble": lambda out, *_: eh.train_ensemble(
        *PAIRS, classes=ONE, settings=TINY, rng=1, checkpoint=out
    ),
    "run_elit": lambda out, *_: run_elit(out),
    "adapt_ensemble": lambda out, patch, picture, _: adapting.adapt_ensemble(picture, out),
    "save_report": lambda out, patch, _, report: reports.save_report(report, out),
    "run": lambda out, patch, picture, _: command("run", picture, "--out", out),
    "adapt": lambda out, patch, picture, _: command("adapt", picture, "--out", out),
    "hand_over": lambda out, patch, *_: hand_over(out, patch, lambda path: path.write_text("1")),
    "hand_over a folder": lambda out, patch, *_: hand_over(
        out, patch, lambda path: eh.save_ensemble(eh.default_ensemble(), path / "E_1"), folder=True
    ),
    "end": lambda out, patch, *_: costs(out, patch),
    "fetch": lambda out, patch, *_: fetch(out, patch),
}
REFUSED = (FileExistsError, ValueError, PermissionError, eh.CorruptEnsemble)
COMMANDS = {"save_report", "run", "adapt"}
NAMED = {"write_atoms", "plots.animate"}
"""Writers to whom the user names the file: like every tool they replace it."""
NEW = {"adapt_ensemble", "adapt", "train_ensemble", "run_elit"}
"""Writers that want a folder of their own."""
OVERWRITES = {
    "write_structure": lambda out, _: eh.write_structure(SHEET, out, overwrite=True),
    "write_vasp": lambda out, _: eh.write_vasp(SHEET, out, overwrite=True),
    "save_ensemble": lambda out, _: eh.save_ensemble(eh.default_ensemble(), out, overwrite=True),
    "save_results": lambda out, _: eh.save_results(RESULTS, out, overwrite=True),
    "save_report": lambda out, report: reports.save_report(report, out, overwrite=True),
    "run": lambda out, report: command("run", "frame.npy", "--out", out, "--overwrite"),
}
READ = {
    "load_ensemble.folder",
    "load_results.folder",
    "load_image.path",
    "run_image.image",
    "run_image.ensemble",
}
READ |= {"adapt_ensemble.frames", "adapt_ensemble.start", "provenance.inputs"}


def content(folder):
    """All that is in a folder, with times, without following links."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name, state = path.relative_to(folder).as_posix(), path.lstat()
        if path.is_symlink():
            found[name] = (os.readlink(path), state.st_mtime_ns)
        elif path.is_file():
            found[name] = (path.read_bytes(), state.st_mtime_ns)
        else:
            found[name] = "folder"
    return found


def files(folder):
    return {name for name, what in content(folder).items() if what != "folder"} if folder.is_dir() else set()


def fill(folder, names):
    """Put files of the user's into a folder: of these names, of others, hidden, in folders, links."""
    own = folder.with_name("thesis.tex")
    own.write_text("outside")
    for name in (*names, "POTCAR", ".hidden", "thesis/chapter_1.tex", "member_99.txt", ".elit-mine/a"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"mine: {name}")
    (folder / "link").symlink_to(own)
    (folder / "empty").mkdir()
    return content(folder)


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    return {}


def written(world, names, name, tmp_path):
    """Return what a writer leaves in a folder that is new."""
    if name not in names:
        world(name, tmp_path / "first")
        names[name] = files(tmp_path / "first")
    return names[name]


def test_no_function_that_takes_a_path_is_forgotten():
    found = set()
    for prefix, module in (("", eh), ("plots.", eh.plots), ("widgets.", eh.widgets)):
        for name in dir(module):
            if inspect.isfunction(function := getattr(module, name)):
                taken = inspect.signature(function).parameters.items()
                found |= {f"{prefix}{name}.{p}" for p, how in taken if "PathLike" in str(how.annotation)}
    assert found == {f"{name}.{p}" for name, p in TAKE_PATHS if not p.startswith("-")}
    writes = {name.rpartition(".")[0] for name in found - READ}
    assert writes | {"hand_over", "hand_over a folder", "end", "fetch", *COMMANDS} == set(WRITERS) | COMMANDS


@pytest.mark.parametrize("name", WRITERS)
def test_beside_files_of_other_names_it_writes_or_wants_a_folder_of_its_own(name, world, tmp_path):
    (tmp_path / "out").mkdir()
    before = fill(tmp_path / "out", ())
    for _ in range(2):  # in the second time its own files are there, too
        if name in NEW:
            with pytest.raises(REFUSED):
                world(name, tmp_path / "out")
            assert content(tmp_path / "out") == before
        else:
            world(name, tmp_path / "out")
            after = content(tmp_path / "out")
            assert {key: after[key] for key in before} == before
            assert len(after) > len(before)


@pytest.mark.parametrize("name", [name for name in WRITERS if name not in NAMED])
def test_files_of_the_same_names_stay_and_nothing_is_written(name, world, names, tmp_path):
    own = written(world, names, name, tmp_path)
    for number, taken in enumerate([own, *({one} for one in sorted(own))]):
        out = tmp_path / f"out{number}"
        out.mkdir()
        before = fill(out, taken)
        if name == "fetch":
            world(name, out)
            aside = (out / "p.npy.set-aside-1").read_text()
            assert (aside, (out / "p.npy").read_bytes()) == ("mine: p.npy", b"a picture")
            continue
        with pytest.raises(REFUSED):
            world(name, out)
        assert content(out) == before


@pytest.mark.parametrize("name", [name for name in WRITERS if name not in NAMED | NEW | {"fetch", "end"}])
def test_what_somebody_changed_since_is_his(name, world, tmp_path):
    world(name, tmp_path)
    some = sorted(path for path in files(tmp_path) if not path.endswith((".json", ".npz")))
    for path in some:
        kept = (tmp_path / path).read_bytes()
        (tmp_path / path).write_bytes(kept + b"\nmine")
        before = content(tmp_path)
        with pytest.raises((FileExistsError, PermissionError)):
            world(name, tmp_path)
        assert content(tmp_path) == before
        (tmp_path / path).write_bytes(kept)
    world(name, tmp_path)
    assert some or name == "run_md"


@pytest.mark.parametrize("name", OVERWRITES)
def test_overwriting_replaces_the_files_of_those_names_and_nothing_else(name, world, names, report, tmp_path):
    own = written(world, names, name, tmp_path)
    out, outside = tmp_path / "out", tmp_path / "other"
    out.mkdir()
    before = fill(out, own)
    outside.write_text("linked")
    first = sorted(own)[0]
    (out / first).unlink()
    (out / first).symlink_to(outside)
    OVERWRITES[name](out, report)
    after = content(out)
    assert {key: after[key] for key in before if key not in own} == {
        key: before[key] for key in before if key not in own
    }
    assert set(after) == set(before)
    assert all(b"mine" not in after[key][0] for key in own)
    assert outside.read_text() == "linked"
    assert not (out / first).is_symlink()


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_leaves_everything_as_it_was(name, world, names, tmp_path, capsys):
    written(world, names, name, tmp_path)
    (tmp_path / "out").mkdir()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))  # no file can grow: as on a disk that is full
    try:
        with pytest.raises(OSError, match=r"the disk is full|refused"):
            world(name, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not files(tmp_path / "out")


@pytest.mark.parametrize("name", WRITERS)
def test_a_folder_that_is_locked_is_said_in_words(name, world, names, tmp_path, monkeypatch):
    written(world, names, name, tmp_path)
    (tmp_path / "out").mkdir()

    def refuse(directory, *_, **__):
        raise PermissionError(13, "Permission denied", str(directory))

    make = os.mkdir
    monkeypatch.setattr(os, "mkdir", lambda path, *a, **k: (refuse if "out" in str(path) else make)(path, *a))
    with pytest.raises(PermissionError, match=r"it is locked. Nothing was changed|refused"):
        world(name, tmp_path / "out")
    monkeypatch.undo()
    assert not files(tmp_path / "out")


# --------------------------------------------------------------------------- the path itself
TAKE_PATHS = {
    ("write_atoms", "path"): lambda path: eh.write_atoms(SHEET, path),
    ("write_structure", "folder"): lambda path: eh.write_structure(SHEET, path),
    ("write_vasp", "folder"): lambda path: eh.write_vasp(SHEET, path),
    ("save_ensemble", "folder"): lambda path: eh.save_ensemble(eh.default_ensemble(), path),
    ("load_ensemble", "folder"): eh.load_ensemble,
    ("save_results", "folder"): lambda path: eh.save_results(RESULTS, path),
    ("load_results", "folder"): eh.load_results,
    ("load_image", "path"): eh.load_image,
    ("plots.animate", "path"): lambda path: eh.plots.animate([SHEET], path),
    ("run_md", "checkpoint"): lambda path: eh.run_md(
        SHEET, engine="lammps:tersoff", steps=1, checkpoint=path
    ),
    ("train_ensemble", "checkpoint"): lambda path: eh.train_ensemble(
        *PAIRS, classes=ONE, settings=TINY, checkpoint=path
    ),
    ("run_elit", "checkpoint"): lambda path: eh.run_elit(
        eh.load_movie("development").frames[:1, :160, :160], pixel_size=0.096, checkpoint=path
    ),
    ("run_image", "image"): eh.run_image,
    ("run_image", "ensemble"): lambda path: eh.run_image("nothere.npy", ensemble=path),
    ("adapt_ensemble", "frames"): lambda path: eh.adapt_ensemble(path, "nothere"),
    ("adapt_ensemble", "folder"): lambda path: eh.adapt_ensemble("nothere.npy", path),
    ("adapt_ensemble", "start"): lambda path: eh.adapt_ensemble("nothere.npy", "nothere", start=path),
    ("provenance", "inputs"): lambda path: eh.provenance("a test", [path]),
    ("run", "--out"): lambda path: command("run", "nothere.npy", "--out", path),
    ("adapt", "--out"): lambda path: command("adapt", "nothere.npy", "--out", path),
}


@pytest.mark.parametrize(("name", "argument"), TAKE_PATHS)
@pytest.mark.parametrize("path", ["", " "])
def test_a_variable_that_was_never_set_is_no_path(name, argument, path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ValueError, PermissionError), match="names no file or folder|refused"):
        TAKE_PATHS[name, argument](path)
    assert "names no file or folder" in capsys.readouterr().err or not argument.startswith("-")
    assert not content(tmp_path)


FOLDERS = [pair for pair in TAKE_PATHS if pair[1] == "folder" and not pair[0].startswith("load")]
FILES = [("write_atoms", "POSCAR"), ("plots.animate", "film.gif"), ("run_md", "run.npz")]


@pytest.mark.parametrize(("name", "argument"), FOLDERS)
def test_a_file_is_no_folder_and_nothing_lies_below_it(name, argument, tmp_path):
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(NotADirectoryError, match=r"file,? which is a file. Choose a folder"):
            TAKE_PATHS[name, argument](path)
    assert content(tmp_path).keys() == {"file"}


@pytest.mark.parametrize(("name", "file"), FILES)
def test_a_folder_is_no_file_and_a_link_is_what_it_leads_to(name, file, world, tmp_path):
    (tmp_path / file).mkdir()
    with pytest.raises(IsADirectoryError, match="which is a folder. Name a file in it"):
        next(call for (one, _), call in TAKE_PATHS.items() if one == name)(tmp_path / file)
    (tmp_path / file).rmdir()
    (tmp_path / file).symlink_to(tmp_path / "gone")
    with pytest.raises(FileExistsError, match="a link to .*gone, which is not there. Remove the link"):
        next(call for (one, _), call in TAKE_PATHS.items() if one == name)(tmp_path / file)
    assert content(tmp_path).keys() == {file}


def test_home_is_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    eh.write_structure(SHEET, "~/out", files=("POSCAR",))
    assert Path(tmp_path, "out", "POSCAR").is_file()
