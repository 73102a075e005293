"""Where things lie, how a notebook hands over to the next, and what it says it cost."""

import json
import subprocess
import sys

import pytest

import elit_helpers as eh
from elit_helpers.core.files import sha256
from elit_helpers.course import notebook


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setenv("ELIT_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("ELIT_DATA", str(tmp_path / "data"))
    (tmp_path / "data" / "handover").mkdir(parents=True)
    return tmp_path / "results"


def write(text):
    return lambda path: path.write_text(text)


def test_class_is_the_mode_unless_told_otherwise(monkeypatch):
    monkeypatch.delenv("ELIT_RUN", raising=False)
    assert eh.run_mode() == "class"
    monkeypatch.setenv("ELIT_RUN", "quick")
    with pytest.raises(ValueError, match="`ELIT_RUN` is 'quick'; choose one of 'demo', 'class', 'full'"):
        eh.run_mode()


def test_threads_follow_the_setting_then_binder_then_the_machine(monkeypatch):
    monkeypatch.setenv("ELIT_THREADS", "3")
    assert eh.threads() == 3
    monkeypatch.setenv("ELIT_THREADS", "none")
    with pytest.raises(ValueError, match="whole number from 1 up"):
        eh.threads()
    monkeypatch.delenv("ELIT_THREADS")
    monkeypatch.setenv("BINDER_SERVICE_HOST", "hub")
    assert eh.threads() == 1


def test_a_file_goes_from_one_notebook_to_the_next(results):
    eh.hand_over("atoms.csv", write("frame\n0\n"), made_by="02_elit_training", seed=5)
    taken = eh.take("atoms.csv")
    assert taken.path.read_text() == "frame\n0\n"
    assert taken.origin == "your results"
    assert taken.provenance["parameters"] == {"seed": 5}
    assert "made by 02_elit_training in class mode" in str(taken)


def test_provenance_names_the_inputs_by_their_hash(results):
    first = eh.hand_over("a.txt", write("a"), made_by="01")
    eh.hand_over("b.txt", write("b"), made_by="02", inputs=[eh.take("a.txt")])
    assert eh.take("b.txt").provenance["inputs"] == {"a.txt": sha256(first)}


def test_nothing_stays_of_a_hand_over_that_fails(results):
    def fail(path):
        path.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        eh.hand_over("a.txt", fail, made_by="01")
    assert not [p for p in results.rglob("*") if p.is_file()]


def test_a_folder_is_handed_over_whole(results):
    eh.hand_over("ensemble", lambda f: (f / "card.json").write_text("{}"), made_by="02", folder=True)
    assert (eh.take("ensemble").path / "card.json").is_file()


def test_the_shipped_copy_serves_when_there_is_no_own_result(results, tmp_path):
    (tmp_path / "data" / "handover" / "a.txt").write_text("shipped")
    assert eh.take("a.txt").origin == "shipped copy"
    eh.hand_over("a.txt", write("own"), made_by="01")
    assert eh.take("a.txt").path.read_text() == "own"
    assert eh.take("a.txt", shipped=True).path.read_text() == "shipped"


def test_a_file_changed_after_it_was_written_is_refused(results):
    eh.hand_over("a.txt", write("own"), made_by="01").write_text("edited")
    with pytest.raises(ValueError, match="was changed after it was written"):
        eh.take("a.txt")


def test_a_missing_hand_over_says_what_to_run(results):
    with pytest.raises(FileNotFoundError, match=r"'nothing.csv' is neither .* Run the notebook before"):
        eh.take("nothing.csv")


def test_missing_course_data_say_what_to_set(monkeypatch, tmp_path):
    monkeypatch.setenv("ELIT_DATA", str(tmp_path / "gone"))
    with pytest.raises(FileNotFoundError, match=r"set \$ELIT_DATA"):
        eh.data_dir()


def test_a_notebook_reports_what_it_took(results):
    assert "`class` mode" in eh.begin("07")
    block = bytearray(60_000_000)
    notebook._meter.sample()
    del block
    assert "This notebook took" in eh.end("07")
    cost = json.loads((results / "costs" / "07.json").read_text())
    assert cost["notebook"] == "07"
    assert cost["peak_anonymous_MB"] > 60
    assert cost["wall_s"] >= 0


def test_ending_another_notebook_than_began_is_refused(results):
    eh.begin("01")
    with pytest.raises(ValueError, match=r"begin\('02'\) was not called"):
        eh.end("02")


def test_a_kernel_gives_freed_memory_back_after_every_cell_and_a_script_is_left_alone():
    """Some 50 MB stay with the C library after a training, which a small machine lacks for the next."""
    code = """
import elit_helpers as eh
eh.begin("00")
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
before = list(shell.events.callbacks["post_run_cell"])
for _ in range(2):
    assert shell.run_cell("import elit_helpers as eh; eh.begin('00')").success
new = [action for action in shell.events.callbacks["post_run_cell"] if action not in before]
assert len(new) == 1, new
"""
    command = [sys.executable, "-W", "ignore", "-c", code]
    told = subprocess.run(command, timeout=120, check=True, capture_output=True, text=True)
    assert "Error" not in told.stdout + told.stderr  # of an action that a kernel cannot call
