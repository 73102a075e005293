"""What was begun goes on only as the same job: what differs is named, and what is not ours stays as it is."""

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from elit_helpers.core.checks import CorruptEnsemble
from elit_helpers.core.resume import Job, fingerprint, go_on, plain

FRAMES = np.arange(12, dtype=np.float32).reshape(3, 4)
WORK = {
    "frames": FRAMES,
    "rounds": 2,
    "classes": ("C", "Si"),
    "settings": {"steps": 3, "layers": (1, 2)},
    "seed": 7,
}


@pytest.fixture
def folder(tmp_path):
    """A folder in which the job was begun, with a part that is finished."""
    job = Job.open(tmp_path / "run", WORK)
    (job.folder / "part.npz").write_bytes(b"finished")
    return job.folder


# ------------------------------------------------------------------------- the same job
def test_a_new_job_writes_down_what_it_computes(tmp_path):
    job = Job.open(tmp_path / "a" / "run", WORK)
    assert not job.begun
    assert job.description["frames"] == fingerprint(FRAMES)
    assert json.loads((job.folder / "job.json").read_text()) == job.description
    assert [path.name for path in job.folder.iterdir()] == ["job.json"]


def test_the_same_job_goes_on(folder):
    job = Job.open(folder, WORK)
    assert job.begun
    assert job.description == plain(WORK)
    assert (folder / "part.npz").read_bytes() == b"finished"


def test_without_a_folder_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Job.open(None, WORK) == Job(None, WORK, begun=False)
    assert not list(tmp_path.iterdir())


def test_whole_numbers_of_numpy_and_tuples_are_what_they_say(folder):
    assert Job.open(folder, WORK | {"rounds": np.int64(2), "classes": ["C", "Si"]}).begun


def test_what_is_free_goes_on_as_it_was_begun(folder):
    job = Job.open(folder, WORK | {"seed": 8}, free=("seed",))
    assert job.description["seed"] == 7
    assert json.loads((folder / "job.json").read_text())["seed"] == 7


# ------------------------------------------------------------------------- another job
@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"rounds": 3}, "other rounds: rounds = 2, and this call has 3"),
        ({"classes": ("C",)}, r"other classes: classes = \['C', 'Si'\], and this call has \['C'\]"),
        ({"settings": {"steps": 4, "layers": (1, 2)}}, r"settings.steps = 3, and this call has 4\. Give"),
        ({"keep": [0]}, r"keep = None, and this call has \[0\]"),
        ({"rounds": 3, "seed": 8}, "other rounds, seed: rounds = 2, .*; seed = 7, and this call has 8"),
        ({"frames": FRAMES.astype(float)}, r"other frames: frames = '\w+\.{3}\w+', and .* '\w+\.{3}"),
        ({"frames": FRAMES.T}, "other frames"),
        ({"seed": None}, "seed = 7, and this call has None"),
    ],
)  # fmt: skip
def test_another_job_is_refused_with_both_values_of_what_differs(folder, change, named):
    with pytest.raises(ValueError, match=rf"run holds a run with .*{named}.*"):
        Job.open(folder, WORK | change)
    assert Job.open(folder, WORK).begun


def test_an_argument_that_is_gone_is_named_too(folder):
    with pytest.raises(ValueError, match="other rounds: rounds = 2, and this call has None"):
        Job.open(folder, {name: value for name, value in WORK.items() if name != "rounds"})


def test_the_refusal_says_what_to_do(folder, tmp_path):
    with pytest.raises(
        ValueError, match="same arguments to go on with it, delete the folder .* name another"
    ):
        Job.open(folder, WORK | {"rounds": 3})
    with pytest.raises(ValueError, match=r"md\.npz holds .*delete the file to begin anew"):
        go_on(tmp_path / "md.npz", plain(WORK), WORK | {"rounds": 3})


def test_what_is_free_must_have_been_written_down(folder):
    text = (folder / "job.json").read_text()
    (folder / "job.json").write_text(text.replace('"seed"', '"sead"'))
    with pytest.raises(ValueError, match="other sead, seed: .*seed = None, and this call has 7"):
        Job.open(folder, WORK, free=("seed",))


def test_what_no_file_can_hold_is_no_description(tmp_path):
    for value, why in ((object(), "cannot be part of a job's description"), (np.array([None]), "no values")):
        with pytest.raises(TypeError, match=why):
            Job.open(tmp_path / "run", {"value": value})
    assert not (tmp_path / "run").exists()


# ------------------------------------------------------------------------- what is broken, what is not ours
@pytest.mark.parametrize("text", ["", '{"rounds": ', "[1, 2]", "\xff"])
def test_a_description_that_was_cut_off_is_refused_by_name(folder, text):
    (folder / "job.json").write_text(text, encoding="latin-1")
    with pytest.raises(CorruptEnsemble, match=r"job\.json cannot be read .*Delete the folder"):
        Job.open(folder, WORK)
    assert (folder / "part.npz").read_bytes() == b"finished"


@pytest.mark.parametrize("name", ["thesis.tex", ".notes", "run.json"])
def test_a_folder_of_something_else_is_refused_and_kept(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(ValueError, match=rf"in the way: it holds {name} but no job\.json.*new or empty"):
        Job.open(tmp_path, WORK)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_a_file_of_that_name_is_refused_and_kept(tmp_path):
    (tmp_path / "run").write_text("mine")
    with pytest.raises(ValueError, match="run is in the way: it is a file"):
        Job.open(tmp_path / "run", WORK)
    assert (tmp_path / "run").read_text() == "mine"


def test_what_a_kill_left_of_the_description_is_not_in_the_way(tmp_path):
    (tmp_path / ".job.json-x1y2").mkdir()
    (tmp_path / ".job.json-x1y2" / "job.json").write_text('{"rou')
    assert not Job.open(tmp_path, WORK).begun
    assert Job.open(tmp_path, WORK).begun


# ------------------------------------------------------------------------- fingerprints
SMALL = array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
ANY = st.sampled_from(["f4", "f8", "i4", "i8", "u1", "?", "U2"]).flatmap(lambda kind: arrays(kind, SMALL))


@given(ANY, ANY)
def test_fingerprints_agree_where_dtype_shape_and_bits_do_and_nowhere_else(a, b):
    alike = (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    assert (fingerprint(a) == fingerprint(b)) == alike
    assert fingerprint(np.asfortranarray(a).reshape(a.shape)) == fingerprint(a.copy())


def test_minus_zero_is_not_zero_and_nan_is_itself():
    assert fingerprint(np.array([-0.0])) != fingerprint(np.array([0.0]))
    assert fingerprint(np.array([np.nan, 1.0])) == fingerprint(np.array([np.nan, 1.0]))


@given(st.dictionaries(st.text(max_size=3), st.integers() | st.floats(allow_nan=False, allow_infinity=False)))
def test_the_order_of_the_names_does_not_matter_but_the_names_do(parts):
    assert fingerprint(parts) == fingerprint(dict(reversed(parts.items())))
    assert fingerprint(parts) != fingerprint(
        {f"{name}'": part for name, part in parts.items()} | {"": FRAMES}
    )
    assert fingerprint([FRAMES, *parts.values()]) != fingerprint([*parts.values()])


def test_it_is_the_same_in_another_process():
    script = (
        "import numpy; from elit_helpers.core import resume; print(resume.fingerprint(numpy.arange(3.0)))"
    )
    printed = subprocess.check_output([sys.executable, "-c", script], text=True)
    assert printed.strip() == fingerprint(np.arange(3.0))
