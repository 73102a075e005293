"""Real frames by name: fetched when asked, held to their hash, and no broken file left whatever happens."""

import errno
import hashlib
import json
import logging
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pooch
import pytest
from places import SHARED

import elit_helpers as eh
from elit_helpers.__main__ import main
from elit_helpers.data import download, registry

REAL, SLAKO = SHARED / "real_frames", SHARED / "slako"
needs_real_frames = pytest.mark.skipif(not REAL.is_dir(), reason=f"real frames are not at {REAL}")


# --------------------------------------------------------------------------- a server and a list of our own
class Server(ThreadingHTTPServer):
    """Serves `files` on the loopback, and misbehaves on request."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.manner = ""
        self.let_go = threading.Event()
        self.address = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.asked.append(self.path)
        body = server.files.get(self.path.partition("?")[0])
        if server.manner == "closed":
            return self.send_error(503)
        if body is None:
            return self.send_error(404)
        if server.manner == "log-in page":
            body = b"<html>Please log in to this network.</html>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if server.manner in ("cut short", "silent in the middle"):
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            if server.manner == "silent in the middle":
                server.let_go.wait(5)
            return None
        self.wfile.write(body)
        return None

    def log_message(self, *_arguments):
        pass


def npy(array):
    from io import BytesIO

    stream = BytesIO()
    np.save(stream, array)
    return stream.getvalue()


PICTURE = np.random.default_rng(0).random((64, 48)).astype(np.float32)
MOVIES = {
    0: {"image_data": np.random.default_rng(1).integers(1, 99, (3, 64, 64)).astype(np.uint8), "metadata": {}},
    7: {
        "image_data": np.random.default_rng(2).integers(1, 99, (4, 64, 64)).astype(np.uint8),
        "metadata": {"scan size": "2", "acc voltage": 60},
        "xy_COM": np.zeros((5, 2)),
    },
}
CONTENT = {
    "/one/picture.npy": npy(PICTURE),
    "/set/C-C.skf": b"C-C",
    "/set/C-H.skf": b"C-H" * 1000,
    "/movies/movies.npy": npy(MOVIES),
}


def remote(server, path, local, known=True):
    text = CONTENT[path]
    digest, size = (hashlib.sha256(text).hexdigest(), len(text)) if known else (None, None)
    return registry.RemoteFile(server.address + path, local, digest, size)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server() as server:
        server.files |= CONTENT
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.let_go.set()
        server.shutdown()


@pytest.fixture
def cache(tmp_path, monkeypatch, server):
    """An empty cache, and a list whose addresses are those of the server."""
    common = {"shows": "noise", "licence": "none stated", "citation": "nobody (2024)"}
    picture = remote(server, "/one/picture.npy", "picture.npy")
    files = tuple(remote(server, f"/set/{name}.skf", f"set/{name}.skf") for name in ("C-C", "C-H"))
    movies = remote(server, "/movies/movies.npy", "movies.npy", known=False)
    items = [
        registry.Entry("picture", "frame", files=(picture,), pixel_size_lattice_A=0.2, **common),
        registry.Entry("set", "parameters", files=files, **common),
        registry.Entry("movies", "collection", files=(movies,), image="image_data", **common),
    ]
    monkeypatch.setattr(registry, "entries", lambda: {entry.name: entry for entry in items})
    monkeypatch.setattr(registry, "_checked", set())
    monkeypatch.setenv("ELIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ELIT_FETCH_BASE", raising=False)
    return tmp_path / "cache"


def left(folder):
    """Every file below a folder, hidden ones too."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*")) if folder.is_dir() else []


# --------------------------------------------------------------------------- what is offered
def test_the_list_says_what_whose_how_large_and_whether_it_is_here():
    table = eh.real_frames().set_index("name")
    assert list(table.columns) == [
        "kind", "shows", "pixel_size_A", "size", "bytes", "licence", "citation", "sha256", "here", "address",
    ]  # fmt: skip
    assert table.loc["G-Si-2nm", "bytes"] == 537_672
    assert table.loc["G-Si-2nm", "pixel_size_A"] == 0.0765
    assert "none stated" in table.loc["G-Si-2nm", "licence"]
    assert "CC BY-SA 4.0" in table.loc["mio-1-1", "licence"]
    assert table["citation"].str.len().min() > 10
    assert table.loc["graphene-movies", "address"].startswith("https://zenodo.org/records/4885132/files/")


def test_every_address_is_immutable_and_every_hash_whole():
    locals_seen = []
    for entry in registry.entries().values():
        for file in entry.files:
            assert re.search(r"/[0-9a-f]{40}/|zenodo\.org/records/\d+/files/", file.address)
            assert file.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", file.sha256)
            assert (file.sha256 is None) == (entry.kind == "collection")
            locals_seen.append(file.local)
    assert len(locals_seen) == len(set(locals_seen))


def test_sizes_are_said_for_people():
    sizes = {name: entry.size for name, entry in registry.entries().items()}
    assert sizes["G-Si-2nm"] == "0.5 MB"
    assert sizes["graphene-movies"] == "about 1.2 GB"
    assert sizes["test-2"] == "size not known"


@needs_real_frames
def test_the_list_agrees_with_the_one_that_came_with_the_frames():
    rows = re.findall(r"\| `([^`]+)` \| ([0-9a-f]{64}) \|", (REAL / "README.md").read_text())
    files = [f for entry in registry.entries().values() for f in entry.files]
    listed = {f.address.partition("a32e4cfe32e13ac0179c9641d3d022b88bcf99e6/")[2]: f.sha256 for f in files}
    assert len(rows) == 8
    assert all(listed[path] == digest for path, digest in rows)


# --------------------------------------------------------------------------- fetching
def test_a_frame_comes_once_and_is_there_from_then_on(cache, server):
    path = eh.fetch("picture")
    assert path == cache / "picture.npy"
    assert eh.fetch("picture") == path
    assert server.asked == ["/one/picture.npy"]
    assert left(cache) == ["picture.npy"]
    np.testing.assert_array_equal(np.load(path), PICTURE)
    assert eh.real_frames().set_index("name").loc["picture", "here"]


def test_a_set_of_files_is_a_folder_that_is_completed(cache, server):
    assert eh.fetch("set") == cache / "set"
    (cache / "set" / "C-H.skf").unlink()
    server.asked.clear()
    eh.fetch("set")
    assert left(cache) == ["set", "set/C-C.skf", "set/C-H.skf"]
    assert server.asked == ["/set/C-H.skf"]


def test_nothing_is_downloaded_unasked(cache, server):
    assert not eh.real_frames()["here"].any()
    with pytest.raises(
        FileNotFoundError, match=r"'picture' is not on this machine. `eh.fetch\('picture'\)` down"
    ):
        eh.load_real("picture")
    assert server.asked == []
    assert not cache.exists()


def test_an_unknown_name_is_answered_with_those_there_are(cache):
    with pytest.raises(ValueError, match="`name` is 'Picture'; choose one of 'picture', 'set', 'movies'"):
        eh.fetch("Picture")


def test_the_bar_counts_to_the_end_and_silence_is_silent(cache, server, capfd):
    eh.fetch("picture")
    assert capfd.readouterr() == ("", "")
    (cache / "picture.npy").unlink()
    eh.fetch("picture", progress=True)
    assert "picture" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("manner", "says"),
    [
        ("closed", r"picture was not fetched: http://.* answers 503 .*It may have moved, or be closed"),
        ("cut short", r"the connection to 127.0.0.1:\d+ broke off in the middle. Try again"),
        (
            "silent in the middle",
            r"127.0.0.1:\d+ gave no answer for 0.3 s. Try again later. Without a network",
        ),
        ("log-in page", r"gave is not the file it should be: a log-in page, a damaged or a replaced file"),
    ],
)
@pytest.mark.parametrize("name", ["picture", "movies"])
def test_whatever_goes_wrong_is_said_in_one_line_and_leaves_nothing(
    cache, server, monkeypatch, name, manner, says
):
    monkeypatch.setattr(download, "_TIMEOUT_S", 0.3)
    server.manner = manner
    if name == "movies":
        says = says.replace("picture was", "movies was").replace(
            "be: a log", r"be \(.*magic string.*\): a log"
        )
    with pytest.raises(eh.DownloadFailed, match=says) as caught:
        eh.fetch(name)
    assert "\n" not in str(caught.value)
    assert left(cache) == []


def test_a_file_that_is_not_there_is_told_from_a_network_that_is_not_there(cache, server, monkeypatch):
    del server.files["/one/picture.npy"]
    with pytest.raises(eh.DownloadFailed, match="answers 404"):
        eh.fetch("picture")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound and not listening: nobody answers
        monkeypatch.setenv("ELIT_FETCH_BASE", f"http://127.0.0.1:{nobody.getsockname()[1]}")
        with pytest.raises(eh.DownloadFailed, match=r"cannot be reached. Is there a network\? Without"):
            eh.fetch("picture")
    assert left(cache) == []


def test_a_failed_fetch_works_the_next_time(cache, server):
    server.manner = "cut short"
    with pytest.raises(eh.DownloadFailed):
        eh.fetch("picture")
    server.manner = ""
    assert eh.fetch("picture").is_file()


def test_a_disk_without_room_is_noticed_before_the_download(cache, server, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: shutil._ntuple_diskusage(100, 95, 5))
    with pytest.raises(eh.DownloadFailed, match=r"is full \(.*MB are needed, 0.0 MB are free\).*ELIT_CACHE"):
        eh.fetch("picture")
    assert (left(cache), server.asked) == ([], [])


def test_a_disk_that_fills_up_on_the_way_keeps_no_half_file(cache, monkeypatch):
    def writes_half(_self, _url, output_file, _pooch):
        Path(output_file).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", writes_half)
    with pytest.raises(eh.DownloadFailed, match=r"the disk of .* is full .*Make room, or set ELIT_CACHE"):
        eh.fetch("picture")
    assert left(cache) == []


def test_stopping_it_by_hand_keeps_no_half_file(cache, monkeypatch):
    def is_stopped(_self, _url, output_file, _pooch):
        Path(output_file).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", is_stopped)
    with pytest.raises(KeyboardInterrupt):
        eh.fetch("picture")
    assert left(cache) == []


def test_what_a_killed_download_left_is_swept_up_by_the_next(cache):
    for name, age in ((".picture.npy-dead", 3600), (".picture.npy-going", 1)):
        (cache / name).mkdir(parents=True)
        (cache / name / "half").write_bytes(b"half")
        for path in (cache / name / "half", cache / name):
            os.utime(path, (time.time() - age,) * 2)
    eh.fetch("picture")
    assert left(cache) == [".picture.npy-going", ".picture.npy-going/half", "picture.npy"]


def test_a_cache_that_cannot_be_written_says_how_to_move_it(cache):
    cache.write_text("a file where the folder should be")
    with pytest.raises(eh.DownloadFailed, match="cannot be written .*Set ELIT_CACHE to a folder of yours"):
        eh.fetch("picture")


def test_a_copy_that_was_changed_is_refused_and_fetched_anew(cache, server, caplog):
    path = eh.fetch("picture")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(eh.DownloadFailed, match=r"is not the file it should be .*Delete it and fetch"):
        eh.load_real("picture")
    eh.fetch("picture")
    assert "is not whole any more and is fetched anew" in caplog.text
    np.testing.assert_array_equal(np.load(path), PICTURE)


# --------------------------------------------------------------------------- hashes that are not known
def test_an_unknown_hash_is_recorded_told_and_held_to(cache, server, caplog):
    assert eh.real_frames().set_index("name").loc["movies", "sha256"] == "recorded at the first download"
    eh.fetch("movies")
    digest = hashlib.sha256(CONTENT["/movies/movies.npy"]).hexdigest()
    assert f"its SHA-256 was not known; {digest} is recorded now" in caplog.text
    record = json.loads((cache / "recorded.json").read_text())["movies.npy"]
    assert (record["sha256"], record["bytes"]) == (digest, len(CONTENT["/movies/movies.npy"]))
    assert record["from"] == f"{server.address}/movies/movies.npy"
    assert eh.real_frames().set_index("name").loc["movies", "sha256"] == digest

    (cache / "movies.npy").unlink()
    server.files["/movies/movies.npy"] = npy({0: {"image_data": np.ones((1, 64, 64), np.uint8)}})
    with pytest.raises(eh.DownloadFailed, match="gave is not the file it should be: .*replaced file"):
        eh.fetch("movies")
    assert left(cache) == ["recorded.json"]


def test_a_collection_that_was_copied_into_the_cache_is_recorded_too(cache, server):
    cache.mkdir()
    (cache / "movies.npy").write_bytes(CONTENT["/movies/movies.npy"])
    eh.fetch("movies")
    assert server.asked == []
    assert "movies.npy" in json.loads((cache / "recorded.json").read_text())


def test_a_collection_that_would_run_code_is_refused_at_the_door(cache, server):
    class Evil:
        def __reduce__(self):
            return (exec, ("open('ran', 'w')",))

    server.files["/movies/movies.npy"] = npy(np.array({0: Evil()}, dtype=object))
    with pytest.raises(eh.DownloadFailed, match=r"asks for builtins.exec"):
        eh.fetch("movies")
    assert left(cache) == []


# --------------------------------------------------------------------------- a class without a network
def test_a_folder_serves_without_a_network_and_without_copies(cache, server, tmp_path, monkeypatch, caplog):
    eh.fetch("picture"), eh.fetch("set"), eh.fetch("movies")
    stick = tmp_path / "stick"
    shutil.copytree(cache, stick)  # a teacher's cache is what the stick needs
    shutil.rmtree(cache)
    server.asked.clear()
    monkeypatch.setenv("ELIT_FETCH_BASE", str(stick))
    assert eh.fetch("picture") == stick / "picture.npy"
    assert eh.fetch("set") == stick / "set"
    assert len(eh.load_real("movies", 7)) == 4
    assert eh.real_frames()["here"].all()
    assert (server.asked, left(cache)) == ([], [])


def test_a_folder_that_lacks_a_file_or_has_another_is_told(cache, server, tmp_path, monkeypatch):
    stick = tmp_path / "stick"
    stick.mkdir()
    monkeypatch.setenv("ELIT_FETCH_BASE", str(stick))
    with pytest.raises(eh.DownloadFailed, match="picture.npy is not in .*nothing is downloaded while"):
        eh.fetch("picture")
    (stick / "picture.npy").write_bytes(b"another")
    with pytest.raises(eh.DownloadFailed, match="is not the file it should be"):
        eh.fetch("picture")
    (stick / "movies.npy").write_bytes(CONTENT["/movies/movies.npy"][:-20])
    with pytest.raises(eh.DownloadFailed, match="movies.npy was not read"):
        eh.fetch("movies")
    assert (stick / "picture.npy").read_bytes() == b"another"  # a teacher's disk is not tidied up
    assert server.asked == []


def test_a_mirror_has_the_layout_of_the_cache(cache, server, monkeypatch):
    server.files |= {"/class/picture.npy": CONTENT["/one/picture.npy"], "/class/set/C-C.skf": b"C-C"}
    server.files |= {"/class/set/C-H.skf": CONTENT["/set/C-H.skf"]}
    monkeypatch.setenv("ELIT_FETCH_BASE", server.address + "/class/")
    eh.fetch("picture"), eh.fetch("set")
    assert server.asked == ["/class/picture.npy", "/class/set/C-C.skf", "/class/set/C-H.skf"]


@pytest.mark.parametrize(
    ("base", "says"),
    [("ftp://here", "must be a folder, http"), ("/no/such/stick", "there is no such folder")],
)
def test_a_base_that_is_none_is_told(cache, monkeypatch, base, says):
    monkeypatch.setenv("ELIT_FETCH_BASE", base)
    with pytest.raises(eh.DownloadFailed, match=f"`ELIT_FETCH_BASE` is '{base}'.*{says}"):
        eh.fetch("picture")


# --------------------------------------------------------------------------- using them
def test_a_frame_brings_what_is_known_of_it(cache):
    eh.fetch("picture")
    real = eh.load_real("picture", pixel_size=0.1)
    np.testing.assert_array_equal(real.frames[0], PICTURE)
    assert (real.name, real.pixel_size, real.pixel_size_source) == ("picture", 0.1, "user")
    facts = {
        "shows": "noise",
        "licence": "none stated",
        "citation": "nobody (2024)",
        "pixel_size_lattice_A": 0.2,
    }
    assert facts.items() <= real.metadata.items()


def test_a_collection_gives_one_movie_with_its_metadata(cache):
    eh.fetch("movies")
    movie = eh.load_real("movies", 7)
    np.testing.assert_array_equal(movie.frames, MOVIES[7]["image_data"].astype(np.float32))
    assert movie.frames.dtype == np.float32
    assert movie.pixel_size == pytest.approx(20 / 64)
    assert movie.pixel_size_source == "file"
    assert (movie.metadata["acc voltage"], movie.metadata["item"], movie.metadata["items"]) == (60, 7, [0, 7])
    assert movie.metadata["xy_COM"].shape == (5, 2)
    assert len(eh.load_real("movies")) == 3  # the first
    assert eh.load_real("movies").pixel_size_source == "unknown"


def test_pixels_without_a_value_are_filled_and_counted(cache, server):
    frame = np.arange(64.0 * 64).reshape(64, 64)
    frame[3, 4:7] = np.nan, np.inf, np.nan
    server.files["/movies/movies.npy"] = npy({"Sm_0": {"image_data": frame}})
    eh.fetch("movies")
    real = eh.load_real("movies", "Sm_0")
    assert np.isfinite(real.frames).all()
    assert real.frames[0, 3, 5] == pytest.approx(np.median(frame[np.isfinite(frame)]))
    assert real.metadata["pixels_filled"] == 3


def test_what_is_no_picture_is_not_loaded_as_one(cache, server):
    eh.fetch("set"), eh.fetch("picture")
    with pytest.raises(
        ValueError, match=r"'set' is parameters, not a picture: `eh.fetch\('set'\)` gives its folder"
    ):
        eh.load_real("set")
    with pytest.raises(ValueError, match="`item` is 3; 'picture' is one frame"):
        eh.load_real("picture", 3)
    server.files["/movies/movies.npy"] = npy({"a": np.ones((20, 20))})
    eh.fetch("movies")
    with pytest.raises(
        ValueError, match=r"movies.npy is not a dict of dicts with an array 'image_data' each"
    ):
        eh.load_real("movies")


def test_an_item_that_is_not_there_is_answered_with_those_that_are(cache):
    eh.fetch("movies")
    with pytest.raises(ValueError, match="`item` is 3; choose one of 0, 7"):
        eh.load_real("movies", 3)


@needs_real_frames
@pytest.mark.parametrize("name", ["G-Si-2nm", "G-dimSi", "test-1", "MoS2-V"])
def test_the_real_files_are_the_listed_ones(tmp_path, monkeypatch, name):
    monkeypatch.setenv("ELIT_FETCH_BASE", str(REAL))
    monkeypatch.setenv("ELIT_CACHE", str(tmp_path))
    real = eh.load_real(name)
    assert real.frames.shape[1] == real.frames.shape[2]
    assert real.metadata["pixel_size_lattice_A"] > 0.03


@pytest.mark.skipif(not SLAKO.is_dir(), reason=f"the parameter files are not at {SLAKO}")
def test_the_parameter_files_are_the_listed_ones(tmp_path, monkeypatch):
    monkeypatch.setenv("ELIT_FETCH_BASE", str(SLAKO))
    monkeypatch.setenv("ELIT_CACHE", str(tmp_path))
    assert eh.fetch("mio-1-1") == SLAKO / "mio-1-1"


# --------------------------------------------------------------------------- the command
def test_the_command_fetches_by_name_and_says_where(cache, capsys):
    assert main(["fetch", "picture", "set"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[::3] == [f"picture: {cache / 'picture.npy'}", f"set: {cache / 'set'}"]
    assert out[1:3] == ["  licence: none stated", "  cite: nobody (2024)"]


def test_the_command_lists_what_there_is(cache, server, capsys):
    eh.fetch("picture")
    assert main(["fetch", "--list"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^picture +here +", out, re.MULTILINE)
    assert re.search(r"^movies +size not known +noise$", out, re.MULTILINE)
    assert server.asked == ["/one/picture.npy"]


def test_the_command_goes_on_after_a_failure_and_reports_it(cache, server, capsys):
    del server.files["/one/picture.npy"]
    assert main(["fetch", "--all"]) == 1
    out, err = capsys.readouterr()
    assert [line.partition(":")[0] for line in out.splitlines()] == [
        "set",
        "  licence",
        "  cite",
        "movies",
        "  licence",
        "  cite",
    ]
    assert "elit_helpers fetch: picture was not fetched" in err


def test_the_command_needs_a_name(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["fetch"])
    assert "NAME --list --all is required" in capsys.readouterr().err


def test_listing_does_not_load_the_network():
    script = (
        "import sys, logging; import elit_helpers as eh; eh.real_frames()\n"
        "sys.exit('requests' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], timeout=60, check=False).returncode == 0


@pytest.fixture(autouse=True)
def _warnings_reach_caplog(caplog):
    caplog.set_level(logging.WARNING, logger="elit_helpers")
