"""A folder of the user's: only what we wrote, and nobody changed since, is ever replaced."""

import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elit_helpers.core.files import sha256
from elit_helpers.core.own_files import Last, check_own, own_files, readable


def write(folder, note="note.json", about=None, overwrite=False, mixed=False, **texts):
    """Write files by their names, `sub__a` for `sub/a`."""
    with own_files(folder, note, about or {}, overwrite=overwrite, mixed=mixed) as draft:
        for name, text in texts.items():
            path = draft / name.replace("__", "/")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)


def content(folder):
    return {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()}


def test_a_note_has_what_was_said_and_the_hash_of_each_file(tmp_path):
    write(tmp_path / "out", about={"made_by": "a test"}, a="1", sub__b="2")
    note = json.loads((tmp_path / "out" / "note.json").read_text())
    hashes = {name: sha256(tmp_path / "out" / name) for name in ("a", "sub/b")}
    assert note == {"made_by": "a test", "sha256": hashes}


def test_own_files_are_replaced_and_those_not_written_again_go(tmp_path):
    write(tmp_path, a="1", b="1", sub__c="1")
    (tmp_path / "notes.txt").write_text("mine")
    write(tmp_path, a="2")
    assert content(tmp_path).keys() == {"a", "notes.txt", "note.json"}
    assert (tmp_path / "a").read_text() == "2"
    assert not (tmp_path / "sub").exists()


def test_where_the_caller_chooses_the_names_the_older_ones_are_in_the_way(tmp_path):
    write(tmp_path, a="1", b="1", mixed=True)
    with pytest.raises(FileExistsError, match=r"b \(left by an earlier call, and not written again"):
        write(tmp_path, a="2", mixed=True)
    assert content(tmp_path)["a"] == "1"
    write(tmp_path, a="2", mixed=True, overwrite=True)
    assert (content(tmp_path)["a"], content(tmp_path)["b"]) == ("2", "1")


def test_all_that_is_in_the_way_is_named_with_the_reason_and_what_to_do(tmp_path):
    write(tmp_path, a="1", b="1")
    (tmp_path / "a").write_text("mine")
    (tmp_path / "b").unlink()
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "c").mkdir()
    (tmp_path / "d").write_text("mine")
    (tmp_path / "e").write_text("mine")
    with pytest.raises(
        FileExistsError,
        match=r"would be lost: a \(changed since it was written\); b \(a link\); c \(a folder\); "
        r"d, e \(not written by this package\)\. Name another folder .* overwrite=True \(--overwrite\)",
    ):
        write(tmp_path, a="2", b="2", c="2", d="2", e="2")
    with pytest.raises(FileExistsError, match=r"c \(a folder\)\. Name"):
        write(tmp_path, a="2", c="2", overwrite=True)
    assert content(tmp_path)["a"] == "mine"


@pytest.mark.parametrize("text", ["mine", "[]", "{}", '{"sha256": 3}', "\xff"])
def test_a_note_of_somebody_else_is_no_note(tmp_path, text):
    (tmp_path / "note.json").write_text(text, encoding="latin-1")
    with pytest.raises(FileExistsError, match=r"note.json \(not written by this package\)"):
        write(tmp_path, a="1")
    assert [path.name for path in tmp_path.iterdir()] == ["note.json"]


def test_another_writer_of_ours_is_somebody_else(tmp_path):
    write(tmp_path, note="first.json", a="1")
    with pytest.raises(FileExistsError, match=r"a \(not written by this package\)"):
        write(tmp_path, note="second.json", a="2", b="2")
    write(tmp_path, note="second.json", b="2")
    write(tmp_path, note="first.json", a="3")
    assert (tmp_path / "b").read_text() == "2"


def test_it_is_known_before_anything_is_computed(tmp_path):
    (tmp_path / "a").write_text("mine")
    assert check_own(tmp_path, "note.json", ["b"]) == tmp_path
    with pytest.raises(FileExistsError, match="would be lost"):
        check_own(tmp_path, "note.json", ["a", "b"])
    assert check_own(tmp_path, "note.json", ["a", "b"], overwrite=True) == tmp_path


def test_an_error_in_the_middle_of_the_exchange_takes_it_back(tmp_path, monkeypatch):
    write(tmp_path, a="1", b="1", c="1")
    before, times = content(tmp_path), {p: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    replace = os.replace
    for fails_at in range(4):
        calls = iter(range(99))

        def failing(source, target, calls=calls, fails_at=fails_at):
            if next(calls) == fails_at:
                raise OSError(5, "Input/output error")
            replace(source, target)

        monkeypatch.setattr(os, "replace", failing)
        with pytest.raises(OSError, match="Input/output"):
            write(tmp_path, a="2", d="2", sub__e="2")
        assert content(tmp_path) == before
        assert {p: p.stat().st_mtime_ns for p in tmp_path.iterdir()} == times


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a fork")
@pytest.mark.parametrize("after", range(5))
def test_what_a_kill_leaves_half_replaced_is_ours_still(tmp_path, monkeypatch, after):
    write(tmp_path, a="1", b="1", c="1")
    if (pid := os.fork()) == 0:
        replace, calls = os.replace, iter(range(99))
        os.replace = lambda *paths: os._exit(9) if next(calls) == after else replace(*paths)
        write(tmp_path, a="2", b="2", c="2")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    write(tmp_path, a="3", b="3", c="3")
    assert [content(tmp_path)[name] for name in "abc"] == ["3"] * 3


def test_notes_that_know_one_hash_for_all_are_understood(tmp_path):
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "a").write_text("1")
    (tmp_path / "made.provenance.json").write_text(json.dumps({"sha256": sha256(tmp_path / "made")}))
    assert Last(tmp_path, "made.provenance.json").hashes.keys() == {"made/a"}
    (tmp_path / "b").write_text("1")
    (tmp_path / "b.provenance.json").write_text(json.dumps({"sha256": sha256(tmp_path / "b")}))
    assert not Last(tmp_path, "b.provenance.json").altered()


NAMES = st.sampled_from(["a", "b", "sub/c"])
TEXTS = st.dictionaries(NAMES, st.sampled_from("123"), min_size=1)
STEPS = st.lists(st.tuples(st.sampled_from(["we", "we overwrite", "user"]), TEXTS), max_size=6)


@settings(max_examples=40)
@given(STEPS)
def test_whatever_the_user_wrote_stays_until_he_says_overwrite(tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp("out")
    theirs, ours = {}, {}
    for who, texts in steps:
        if who == "user":
            for name, text in texts.items():
                (folder / name).parent.mkdir(exist_ok=True)
                (folder / name).write_text(f"mine {text}")
                theirs[name] = f"mine {text}"
            ours = {name: text for name, text in ours.items() if name not in texts}
            continue
        named = {name.replace("/", "__"): text for name, text in texts.items()}
        try:
            write(folder, overwrite=who == "we overwrite", **named)
        except FileExistsError:
            assert who == "we"
        else:
            assert who == "we overwrite" or not theirs.keys() & texts.keys()
            theirs = {name: text for name, text in theirs.items() if name not in texts}
            ours = dict(texts)
        found = content(folder)
        found.pop("note.json", None)
        assert found == ours | theirs


def test_short_lists_stand_on_one_line_and_no_text_is_touched():
    what = {"list": [1, 2], "text": "[ a  ]\n[\n b ]", "deep": {"more": ["x"]}}
    assert '"list": [1, 2]' in readable(what)
    assert json.loads(readable(what)) == what
