"""Files and folders are the old ones or the new ones, whatever interrupts their writing, and how often."""

import json
import os
import shutil
import signal

import pytest
from signals import interrupt_at

from elit_helpers.core import files
from elit_helpers.core.files import atomic_write
from elit_helpers.core.interrupts import Stopped, terminable
from elit_helpers.core.own_files import own_files

TIMES = pytest.mark.parametrize("times", [1, 2, 5])
STEPS = {  # where a signal comes, and whether what is written is then there
    "begins": (files.tempfile, "mkdtemp", False),
    "writing": (None, None, False),
    "moving": (os, "replace", True),
    "cleaning up": (shutil, "rmtree", True),
}


def tree(folder):
    return {p.relative_to(folder).as_posix(): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


AT_EACH = pytest.mark.parametrize(("step", "at"), [*((step, 1) for step in STEPS), ("moving", 2)])


def interrupted(write, step, monkeypatch, *, number, times, at=1):
    """Write while signals come at a step; return whether the new is to be there."""
    where, name, there = STEPS[step]
    signals = interrupt_at(at, number=number, times=times, then=where and getattr(where, name))
    with terminable(), monkeypatch.context() as patch:
        if where:
            patch.setattr(where, name, signals)
        with pytest.raises(KeyboardInterrupt):
            write(lambda: where or signals())
    return there


@TIMES
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
@pytest.mark.parametrize("old", [True, False])
@pytest.mark.parametrize("step", STEPS)
def test_a_file_is_the_old_or_the_new_and_nothing_lies_beside_it(
    tmp_path, monkeypatch, step, number, times, old
):
    path = tmp_path / "a.txt"
    if old:
        path.write_text("old")

    def write(now):
        with atomic_write(path) as target:
            target.write_text("new")
            now()

    there = interrupted(write, step, monkeypatch, number=number, times=times)
    assert tree(tmp_path) == ({"a.txt": "new"} if there else {"a.txt": "old"} if old else {})
    assert len(list(tmp_path.iterdir())) == (there or old)


@TIMES
@AT_EACH
@pytest.mark.parametrize("made", [True, False])
def test_files_that_belong_together_are_all_there_or_none(tmp_path, monkeypatch, step, times, at, made):
    folder = tmp_path / "a"

    def write(now=lambda: None, names="12", text="new"):
        with own_files(folder, "note.json", {"text": text}) as beside:
            for name in names:
                (beside / name).write_text(text)
            now()

    if not made:
        write(names="1", text="old")
    before = tree(tmp_path)
    there = interrupted(write, step, monkeypatch, number=signal.SIGINT, times=times, at=at)
    after = tree(tmp_path)
    if there:
        assert json.loads(after.pop("a/note.json"))["text"] == "new"
        assert after == {"a/1": "new", "a/2": "new"}
    else:
        assert after == before
    assert folder.exists() == (there or not made)


@pytest.mark.parametrize("step", ["writing", "moving"])
def test_the_text_says_whether_they_are(tmp_path, monkeypatch, step):
    said = {
        "writing": f"nothing was written to {tmp_path}",
        "moving": f"everything was written to {tmp_path}",
    }

    def write(now):
        with own_files(tmp_path, "note.json", {"a": 1}) as beside:
            (beside / "1").write_text("new")
            now()

    def seen(now):
        with pytest.raises(Stopped, match=said[step]) as stop:
            write(now)
        raise stop.value

    interrupted(seen, step, monkeypatch, number=signal.SIGINT, times=1)
