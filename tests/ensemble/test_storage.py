"""A training that was stopped goes on: same weights in the end, and nothing broken is ever read."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from signals import interrupt_at
from tiny_ensembles import TWO

import elit_helpers as eh
from elit_helpers.core.interrupts import terminable
from elit_helpers.ensemble import networks, storage
from elit_helpers.ensemble.storage import CorruptEnsemble

THREE = eh.TrainSettings(members=3, steps=3, member_steps=2, batch=2, filters=2, layers=(1, 1, 1, 1))
BASELINE = dataclasses.replace(THREE, strategy="baseline")


@pytest.fixture(scope="module")
def whole(pairs):
    return train(pairs)


@pytest.fixture(scope="module")
def part(pairs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint") / "part"
    train(pairs, checkpoint=folder)
    (folder / "member_02.safetensors").unlink()
    return folder


@pytest.fixture
def folder(part, tmp_path):
    """A checkpoint of which the last member is missing."""
    return shutil.copytree(part, tmp_path / "part")


def train(pairs, settings=THREE, rng=3, **more):
    return eh.train_ensemble(*pairs, classes=TWO, settings=settings, rng=rng, **more)


def same(a, b):
    return len(a) == len(b) and all(
        a.weights[i][name].tobytes() == b.weights[i][name].tobytes()
        for i in range(len(a))
        for name in a.weights[i]
    )


# ------------------------------------------------------------------------- going on
def test_each_finished_member_is_a_file_and_the_job_is_described(pairs, tmp_path):
    train(pairs, BASELINE, checkpoint=tmp_path / "c")
    names = ["baseline", "member_00", "member_01", "member_02"]
    assert sorted(p.name for p in (tmp_path / "c").iterdir()) == [
        *(f"{name}.safetensors" for name in names[:1]),
        "job.json",
        *(f"{name}.safetensors" for name in names[1:]),
    ]
    job = json.loads((tmp_path / "c" / "job.json").read_text())
    assert set(job) >= {"classes", "settings", "seeds", "data_sha256", "start_sha256", "versions", "device"}


@pytest.mark.parametrize("settings", [THREE, BASELINE], ids=["scratch", "baseline"])
def test_a_training_that_was_interrupted_ends_with_the_same_weights_and_losses(pairs, tmp_path, settings):
    expected = train(pairs, settings)
    count = 0

    def interrupt(_):
        nonlocal count
        count += 1
        if count > 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(pairs, settings, checkpoint=tmp_path / "c", on_progress=interrupt, workers=1)
    resumed = train(pairs, settings, checkpoint=tmp_path / "c")
    assert same(resumed, expected)
    assert resumed.history.equals(expected.history)


def test_finished_members_are_not_trained_again(pairs, folder, whole, monkeypatch):
    prepared, prepare = [], networks.Job.prepare
    monkeypatch.setattr(networks.Job, "prepare", lambda job, n, *a: prepared.append(n) or prepare(job, n, *a))
    assert same(train(pairs, checkpoint=folder), whole)
    assert prepared == [2]


def test_without_a_seed_it_goes_on_with_the_seeds_of_the_folder(pairs, tmp_path):
    first = train(pairs, rng=None, checkpoint=tmp_path / "c")
    (tmp_path / "c" / "member_00.safetensors").unlink()
    assert same(train(pairs, rng=None, checkpoint=tmp_path / "c"), first)


def test_a_number_comes_back_as_a_number(tmp_path):
    storage.write_weights(tmp_path / "n.safetensors", {"n": np.array(3), "v": np.arange(6.0).reshape(2, 3).T})
    read = storage.read_weights(tmp_path / "n.safetensors")[0]
    assert read["n"].shape == ()
    assert read["v"].tolist() == [[0, 3], [1, 4], [2, 5]]


def test_what_a_killed_process_left_half_written_is_not_read(pairs, folder, whole):
    (folder / ".member_02.safetensors.part").write_bytes(b"half a file")
    assert same(train(pairs, checkpoint=folder), whole)
    assert not list(folder.glob("*.part"))


def test_a_member_continued_from_another_ensemble_is_resumed_too(pairs, whole, tmp_path):
    expected = train(pairs, rng=5, start=whole)
    train(pairs, rng=5, start=whole, checkpoint=tmp_path / "c")
    (tmp_path / "c" / "member_01.safetensors").unlink()
    assert same(train(pairs, rng=5, start=whole, checkpoint=tmp_path / "c"), expected)


# ------------------------------------------------------------------------- refusals
@pytest.mark.parametrize("how", ["changed", "cut", "empty", "swapped"])
def test_a_corrupt_checkpoint_is_refused_by_name(pairs, folder, how):
    path = folder / "member_01.safetensors"
    content = bytearray(path.read_bytes())
    if how == "changed":
        content[-3] ^= 1
    path.write_bytes({"cut": content[:-40], "empty": b""}.get(how, content))
    if how == "swapped":
        storage.write_weights(path, {"a": np.zeros(3, np.float32)})
    with pytest.raises(CorruptEnsemble, match=r"member_01\.safetensors .*Delete it"):
        train(pairs, checkpoint=folder)


def test_a_job_that_cannot_be_read_is_refused_by_name(pairs, folder):
    (folder / "job.json").write_text('{"seeds": ')
    with pytest.raises(CorruptEnsemble, match=r"job\.json cannot be read"):
        train(pairs, checkpoint=folder)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"rng": 4}, r"other seeds: seeds = \[.*\], and this call has \["),
        (
            {"settings": dataclasses.replace(THREE, steps=4)},
            "other settings.steps: settings.steps = 3, and this call has 4",
        ),
        (
            {"settings": dataclasses.replace(THREE, steps=4, batch=3)},
            "other settings.batch, settings.steps: ",
        ),
    ],
)
def test_a_checkpoint_of_another_training_is_refused_with_what_differs(pairs, folder, change, named):
    with pytest.raises(ValueError, match=rf"{named}.*[Dd]elete the folder"):
        train(pairs, **{**change, "checkpoint": folder})


def test_a_checkpoint_of_other_data_or_another_start_is_refused(pairs, folder, whole):
    other = pairs[0] + np.float32(0.1), pairs[1]
    with pytest.raises(ValueError, match="with other data_sha256: "):
        train(other, checkpoint=folder)
    with pytest.raises(ValueError, match="with other start_sha256: "):
        train(pairs, start=whole, checkpoint=folder)


def test_a_checkpoint_of_another_torch_is_refused(pairs, folder, monkeypatch):
    monkeypatch.setattr(networks, "versions", lambda: {"torch": "0.1"})
    with pytest.raises(ValueError, match=r"versions\.torch"):
        train(pairs, checkpoint=folder)


def test_a_folder_of_something_else_is_refused(pairs, tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(ValueError, match=r"thesis\.tex but no job\.json.*new or empty"):
        train(pairs, checkpoint=tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


# ------------------------------------------------------------------------- errors and interrupts
@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_in_a_member_reaches_the_caller_and_ends_the_others(pairs, tmp_path, monkeypatch, workers):
    long = dataclasses.replace(THREE, steps=100_000)
    prepare = networks.Job.prepare

    def failing(job, member, *rest):
        trainer = prepare(job, member, *rest)
        if member == workers - 1:
            trainer.next_batch = lambda: 1 / 0
        return trainer

    monkeypatch.setattr(networks.Job, "prepare", failing)
    begin = time.perf_counter()
    with pytest.raises(ZeroDivisionError):
        train(pairs, long, workers=workers, checkpoint=tmp_path / "c")
    assert time.perf_counter() - begin < 60
    assert not [t for t in threading.enumerate() if t.name.startswith("elit-member")]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_an_interrupt_ends_all_members_at_their_next_step(pairs, number, workers):
    long = dataclasses.replace(THREE, steps=100_000)
    with (
        terminable(),
        pytest.raises(eh.Stopped, match="stopped by an interrupt; without a `checkpoint` nothing"),
    ):
        train(pairs, long, workers=workers, on_progress=interrupt_at(1, number=number))
    assert not [t for t in threading.enumerate() if t.name.startswith("elit-member")]


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("step", ["written", "kept"])
def test_an_interrupt_leaves_whole_members_and_names_their_number(
    pairs, whole, tmp_path, monkeypatch, step, times
):
    where, name = {"written": (os, "fsync"), "kept": (storage.Checkpoint, "save")}[step]
    signals = interrupt_at(2, times=times, then=getattr(where, name))
    with monkeypatch.context() as patch:
        patch.setattr(where, name, lambda *a: signals(*a))
        with pytest.raises(eh.Stopped, match=r"2 of 3 members are in .*c\. The same call trains the others"):
            train(pairs, checkpoint=tmp_path / "c", workers=1)
    names = sorted(path.name for path in (tmp_path / "c").iterdir())
    assert names == ["job.json", "member_00.safetensors", "member_01.safetensors"]
    assert same(train(pairs, checkpoint=tmp_path / "c"), whole)


# ------------------------------------------------------------------------- SIGKILL
_KILLED_AGAIN_AND_AGAIN = """
import os, random, signal, sys, time
import numpy as np
import elit_helpers as eh
import atomai.trainers  # once: each child is a fork of this process, before torch has computed anything

where, workers = sys.argv[1], int(sys.argv[2])
chance = random.Random(int(sys.argv[3]))
pairs = eh.training_set("realistic", 8, rng=1, classes=("C", "Si"))
settings = eh.TrainSettings(
    members=3, steps=12, member_steps=6, batch=2, filters=2, layers=(1, 1, 1, 1), strategy="baseline"
)

def train(checkpoint=None):
    return eh.train_ensemble(
        *pairs, classes=("C", "Si"), settings=settings, rng=3, checkpoint=checkpoint, workers=workers
    )

def child(checkpoint, name):
    pid = os.fork()
    if pid == 0:
        eh.save_ensemble(train(checkpoint), where + name)
        os._exit(0)
    return pid

begin = time.perf_counter()
os.waitpid(child(where + "/timed", "/whole"), 0)
usual, kills = time.perf_counter() - begin, 0
for _ in range(4):
    pid = child(where + "/part", "/resumed")
    time.sleep(chance.uniform(0, 0.6 * usual))
    finished, _ = os.waitpid(pid, os.WNOHANG)
    if not finished:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        kills += 1
_, status = os.waitpid(child(where + "/part", "/resumed"), 0)
print("kills", kills, "finished", status == 0)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forks of one process")
@pytest.mark.parametrize(("workers", "seed"), [(1, 1), (2, 2)])
def test_killed_at_random_moments_it_ends_with_the_weights_of_an_undisturbed_run(tmp_path, workers, seed):
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-c",
        _KILLED_AGAIN_AND_AGAIN,
        tmp_path,
        str(workers),
        str(seed),
    ]
    run = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=500)
    assert run.returncode == 0, run.stderr[-2000:]
    words = run.stdout.split()
    assert words[2:] == ["finished", "True"]
    assert int(words[1]) >= 1, "no attempt was killed; the test has shown nothing"
    resumed, whole = (eh.load_ensemble(tmp_path / name) for name in ("resumed", "whole"))
    assert same(resumed, whole)
    assert resumed.history.equals(whole.history)
