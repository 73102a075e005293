"""Files whole or not at all: what is replaced, what is refused, and what an error leaves behind."""

import os

import pytest

from elit_helpers.core.files import atomic_write, check_folder, remove_own, sha256


def write(path, text="new"):
    with atomic_write(path) as target:
        target.write_text(text)


def fail(path, meanwhile=lambda: None):
    with atomic_write(path) as target:
        target.write_text("new")
        meanwhile()
        raise RuntimeError("half way")


def test_it_leaves_nothing_of_a_failure(tmp_path):
    (tmp_path / "table.csv").write_text("old")
    for path in (tmp_path / "table.csv", tmp_path / "new" / "below" / "table.csv"):
        with pytest.raises(RuntimeError, match="half way"):
            fail(path)
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]
    assert (tmp_path / "table.csv").read_text() == "old"


def test_folders_that_were_made_stay_if_somebody_used_them_meanwhile(tmp_path):
    with pytest.raises(RuntimeError, match="half way"):
        fail(tmp_path / "a" / "b" / "c", lambda: (tmp_path / "a" / "notes.txt").write_text("mine"))
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["notes.txt"]


def test_a_folder_is_written_whole_where_there_is_none_or_an_empty_one(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("empty", "new"):
        with atomic_write(tmp_path / name, folder=True) as beside:
            (beside / "a").write_text("a")
        assert [path.name for path in (tmp_path / name).iterdir()] == ["a"]


def test_a_folder_that_holds_anything_is_never_replaced(tmp_path):
    (tmp_path / ".hidden").write_text("mine")
    with (
        pytest.raises(FileExistsError, match="not empty. Name one that is not there"),
        atomic_write(tmp_path, folder=True),
    ):
        pass
    assert (tmp_path / ".hidden").read_text() == "mine"


def test_through_a_link_the_file_is_replaced_that_it_leads_to(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "real.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to("data/real.csv")
    write(tmp_path / "link.csv")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "data" / "real.csv").read_text() == "new"
    assert len(list(tmp_path.rglob("*"))) == 3


def test_a_device_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileExistsError, match="no ordinary file"):
        write(tmp_path / "pipe")
    assert (tmp_path / "pipe").is_fifo()


def test_who_may_read_a_file_stays_as_it_was(tmp_path):
    (tmp_path / "table.csv").write_text("old")
    (tmp_path / "table.csv").chmod(0o640)
    write(tmp_path / "table.csv")
    assert (tmp_path / "table.csv").stat().st_mode & 0o777 == 0o640


def test_a_file_that_is_write_protected_stays(tmp_path, monkeypatch):
    (tmp_path / "table.csv").write_text("old")
    monkeypatch.setattr(os, "access", lambda path, how: how != os.W_OK)  # for root nothing is protected
    with pytest.raises(PermissionError, match="write-protected. Unlock it"):
        write(tmp_path / "table.csv")
    assert (tmp_path / "table.csv").read_text() == "old"


def test_an_error_of_something_else_is_told_as_it_is(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothere"), atomic_write(tmp_path / "a"):
        (tmp_path / "nothere").read_text()
    with pytest.raises(PermissionError, match="elsewhere"), atomic_write(tmp_path / "a"):
        raise PermissionError(13, "Permission denied", "/elsewhere/b")


def test_a_link_that_leads_nowhere_is_no_folder(tmp_path):
    (tmp_path / "out").symlink_to(tmp_path / "unplugged")
    with pytest.raises(NotADirectoryError, match="out, which is a link that leads nowhere"):
        check_folder("folder", tmp_path / "out")


def test_own_files_go_with_the_folders_that_are_empty_then(tmp_path):
    for name in ("run/a.csv", "run/deep/b.csv", "run/deep/notes.txt", "run/empty/c.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    remove_own(tmp_path / "run", "*.csv", "*/*.csv")
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*")) == [
        "run", "run/deep", "run/deep/notes.txt",
    ]  # fmt: skip
    remove_own(tmp_path / "run", "deep/*")
    assert not list(tmp_path.iterdir())


def test_the_hash_of_chosen_files_does_not_see_the_others(tmp_path):
    for name in "ab":
        (tmp_path / name).write_text(name)
    both, one = sha256(tmp_path), sha256(tmp_path, ["a"])
    (tmp_path / "c").write_text("c")
    assert sha256(tmp_path) != both == sha256(tmp_path, ["b", "a"])
    assert sha256(tmp_path, ["a"]) == one != both
