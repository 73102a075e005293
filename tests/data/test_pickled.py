"""Pickled .npy files: arrays and plain containers come back as they were, and nothing they ask for is run."""

import functools
import io
import os
import pickle
import subprocess
import sys
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from elit_helpers.data import pickled
from elit_helpers.data.pickled import read_plain

PROTOCOLS = (2, 3, 4, 5)


def save(path, content, protocol=4):
    """Write what numpy.save writes for an object, with a protocol of our choice."""
    return save_pickle(path, pickle.dumps(boxed(content), protocol=protocol))


def boxed(content):
    box = np.empty((), object)
    box[()] = content
    return box


def save_pickle(path, text):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|O", "fortran_order": False, "shape": ()})
    path.write_bytes(header.getvalue() + text)
    return path


class Calls:
    """Asks for a call when it is read."""

    def __init__(self, function, *arguments, state=None):
        self.request = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.request


def same(a, b):
    """Compare containers down to the arrays, types included."""
    a, b = (v[()] if isinstance(v, np.ndarray) else v for v in (a, b))  # no dimensions: the number in it
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray):
        equal = a.dtype.kind in "fc"
        return a.dtype == b.dtype and a.shape == b.shape and np.array_equal(a, b, equal_nan=equal)
    return a == b or a != a


# --------------------------------------------------------------------------- what comes back
@pytest.mark.parametrize("protocol", PROTOCOLS[:3])
def test_a_dict_of_stacks_and_metadata_comes_back_whole(tmp_path, protocol):
    stack = np.random.default_rng(0).integers(0, 255, (5, 128, 128)).astype(np.uint8)
    content = {
        i: {
            "image_data": stack + i,
            "metadata": {"scan size": 16.0, "acc voltage": "60", "list": [1, (2, None)]},
        }
        for i in range(3)
    }
    assert same(read_plain(save(tmp_path / "a.npy", content, protocol)), content)


def test_numpys_own_file_is_read(tmp_path):
    content = {"Sm_0": {"main_image": np.ones((200, 300), np.float32), "n": np.int64(3), "z": 1 + 2j}}
    np.save(tmp_path / "a.npy", content)
    assert same(read_plain(tmp_path / "a.npy"), content)


def test_names_of_numpy_1_are_read_too(tmp_path):
    text = pickle.dumps(boxed({"a": np.arange(4), "b": np.float32(2)}), protocol=2)
    assert b"numpy._core" in text
    read = read_plain(save_pickle(tmp_path / "a.npy", text.replace(b"numpy._core", b"numpy.core")))
    assert same(read, {"a": np.arange(4), "b": np.float32(2)})


kinds = (
    npst.integer_dtypes(endianness="?")
    | npst.floating_dtypes(endianness="?")
    | npst.boolean_dtypes()
    | npst.unicode_string_dtypes(max_len=4)
)
arrays = npst.arrays(kinds, npst.array_shapes(min_dims=0, min_side=0, max_side=5))
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | arrays,
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner)
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(content=plain, protocol=st.sampled_from((3, 4)))
def test_whatever_is_plain_comes_back_equal(tmp_path_factory, content, protocol):
    path = save(tmp_path_factory.getbasetemp() / "law.npy", content, protocol)
    read = read_plain(path)
    assert same(read, content)


@pytest.mark.parametrize("order", ["C", "F"])
def test_large_arrays_stay_in_the_file_and_cannot_be_written(tmp_path, order):
    stack = np.asarray(np.random.default_rng(1).random((3, 200, 150)), order=order)
    read = read_plain(save(tmp_path / "a.npy", {"image_data": stack}))["image_data"]
    np.testing.assert_array_equal(read, stack)
    assert not read.flags.owndata
    assert not read.flags.writeable
    assert read.flags.f_contiguous == (order == "F")


def test_an_array_that_is_there_twice_is_one_array(tmp_path):
    image = np.zeros((100, 100))
    read = read_plain(save(tmp_path / "a.npy", {"a": image, "b": [image]}))
    assert read["a"] is read["b"][0]


def test_an_ordered_dict_becomes_a_dict(tmp_path):
    content = OrderedDict(b=np.arange(2), a=1)
    assert same(read_plain(save(tmp_path / "a.npy", content)), dict(content))


def test_arrays_of_objects_hold_admitted_things(tmp_path):
    ragged = np.empty(2, object)
    ragged[:] = [np.arange(3), [1, 2]]
    read = read_plain(save(tmp_path / "a.npy", {"ragged": ragged}))["ragged"]
    assert same(list(read), list(ragged))


def test_a_list_that_holds_itself_is_followed_once(tmp_path):
    loop = [1]
    loop.append(loop)
    read = read_plain(save(tmp_path / "a.npy", {"loop": loop}))["loop"]
    assert read[1] is read


def test_a_plain_array_is_mapped(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(12).reshape(3, 4))
    read = read_plain(tmp_path / "a.npy")
    assert isinstance(read, np.memmap)
    np.testing.assert_array_equal(read, np.arange(12).reshape(3, 4))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="anonymous memory is told by /proc")
def test_a_file_of_200_MB_is_opened_without_reading_it(tmp_path):
    with (tmp_path / "a.npy").open("wb") as file:
        np.save(file, {i: {"image_data": np.zeros((50, 1024, 1024), np.uint8)} for i in range(4)})
    script = (
        "import sys; from pathlib import Path; from elit_helpers.data.pickled import read_plain\n"
        "def anonymous():\n"
        "    return int(Path('/proc/self/status').read_text().split('RssAnon:')[1].split()[0]) / 1e3\n"
        "before = anonymous(); read = read_plain(sys.argv[1]); read[3]['image_data'][49].sum()\n"
        "print(anonymous() - before)"
    )
    grown = subprocess.check_output([sys.executable, "-c", script, str(tmp_path / "a.npy")], timeout=60)
    assert float(grown) < 10


# --------------------------------------------------------------------------- what is refused
ASKED = {
    "os.system": Calls(os.system, "touch ran"),
    "builtins.eval": Calls(eval, "open('ran', 'w')"),
    "builtins.exec": Calls(exec, "open('ran', 'w')"),
    "builtins.open": Calls(open, "ran", "w"),
    "subprocess.check_output": Calls(subprocess.check_output, ["touch", "ran"]),
    "functools.partial": Calls(functools.partial(os.system, "touch ran")),
    "builtins.getattr": Calls(getattr, os, "system"),
    "numpy.load": Calls(np.load, "other.npy"),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", ASKED)
def test_nothing_that_a_pickle_asks_for_is_run(tmp_path, monkeypatch, name, protocol):
    monkeypatch.chdir(tmp_path)
    if name == "builtins.getattr":  # a module cannot be pickled; its name can be asked for
        text = b"c__builtin__\ngetattr\n(cos\npath\nX\x06\x00\x00\x00systemtR."
        path = save_pickle(tmp_path / "a.npy", text)
    else:
        path = save(tmp_path / "a.npy", {"image_data": np.zeros(3), "extra": ASKED[name]}, protocol)
    with pytest.raises(ValueError, match=r"a\.npy was not read: it asks for .*a pickle can run code"):
        read_plain(path)
    assert not (tmp_path / "ran").exists()


def test_objects_in_arrays_of_objects_are_refused_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    array = np.empty(2, object)
    array[:] = [1, Calls(os.system, "touch ran")]
    with pytest.raises(ValueError, match=r"asks for (posix|nt)\.system"):
        read_plain(save(tmp_path / "a.npy", {"image_data": array}))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"cos\nsystem\n(X\x04\x00\x00\x00truetR.", "asks for os.system"),
        (b"(X\x04\x00\x00\x00trueios\nsystem\n.", r"takes the step b'i'"),  # INST calls without REDUCE
        (b"(cos\nsystem\nX\x04\x00\x00\x00trueo.", r"asks for os.system"),
        (b"\x80\x02cnumpy\nndarray\n)\x81.", r"takes the step b'\\x81'"),  # NEWOBJ
        (b"\x80\x02\x82\x01.", r"takes the step b'\\x82'"),  # EXT1: the table of copyreg
        (b"Pname\n.", r"takes the step b'P'"),  # PERSID
        (b"X\x01\x00\x00\x00a)R.", "calls what is no function"),
        (b"cnumpy\nndarray\n(K\x03tR.", "in a way that numpy.save does not"),
        (b"cnumpy\nndarray\n}X\x04\x00\x00\x00makeK\x01sb.", "sets the state of something that has none"),
        (b"cnumpy\nndarray\n.", "neither array nor plain container"),
        (b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\ndtype\ntR.", "subclass of arrays"),
        (b"cnumpy\ndtype\n(X\x03\x00\x00\x00V16tR.", "elements of the type 'V16'"),
        (b"c_codecs\nencode\n(X\x01\x00\x00\x00aX\x03\x00\x00\x00hextR.", "coding 'hex'"),
        (b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.", "ends too early"),  # 9e18 bytes promised
        (b"X\xff\xff\xff\x7fa.", "ends too early"),
        (b"", "ends too early"),
        (b"}" * 3 + b"0" * 9 + b".", "was not read"),
        (b"]" * 30_000 + b"a" * 29_999 + b".", "recursion"),
    ],
)  # fmt: skip
def test_hand_written_pickles_are_refused_with_their_reason(tmp_path, text, reason):
    with pytest.raises(ValueError, match=reason):
        read_plain(save_pickle(tmp_path / "a.npy", text))


def array_pickle(state):
    """Pickle of an array with a state of our own."""
    return pickle.dumps(
        boxed(Calls(np._core.multiarray._reconstruct, np.ndarray, (0,), b"b", state=state)), 4
    )


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ((1, (2, 2), np.dtype("f8"), False, bytes(24)), "does not fit its 24 bytes"),
        ((1, (1 << 40,), np.dtype("f8"), False, bytes(8)), "does not fit"),
        ((1, (-1,), np.dtype("f8"), False, bytes(8)), "without a proper shape"),
        ((1, (1,), np.dtype("O"), False, bytes(1)), "without the objects"),  # bytes taken for addresses
        ((1, (1,), np.dtype("f8"), False, [1, 2, 3, 4, 5, 6, 7, 8]), "without the objects"),
        ((1, (1,), np.dtype([("a", "f8")]), False, bytes(8)), "type 'V8'"),
        ((1, (1,), "f8", False, bytes(8)), "without a proper shape"),
        ((1, 2), "not enough values"),
    ],
)
def test_arrays_that_lie_about_themselves_are_refused(tmp_path, state, reason):
    with pytest.raises(ValueError, match=reason):
        read_plain(save_pickle(tmp_path / "a.npy", array_pickle(state)))


@pytest.mark.parametrize("share", [0.001, 0.3, 0.9, 0.99999])
def test_a_file_cut_short_is_refused(tmp_path, share):
    path = save(tmp_path / "a.npy", {"a": np.ones((300, 300)), "b": list(range(50))})
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=r"a\.npy was not read: .*Fetch the file anew"):
        read_plain(path)


def test_a_page_of_the_web_is_no_array(tmp_path):
    (tmp_path / "a.npy").write_text("<html>Please log in to this network.</html>")
    with pytest.raises(ValueError, match="magic string"):
        read_plain(tmp_path / "a.npy")


@settings(deadline=None)
@given(text=st.binary(max_size=60))
def test_noise_is_refused_or_plain_and_never_anything_else(tmp_path_factory, text):
    path = save_pickle(tmp_path_factory.getbasetemp() / "noise.npy", text)
    try:
        read = read_plain(path)
    except ValueError:
        return
    assert isinstance(
        read, (type(None), bool, int, float, complex, str, bytes, list, tuple, dict, np.ndarray)
    )


def test_no_admitted_name_is_a_thing_of_python_that_could_be_called():
    assert not any(callable(maker) for maker in pickled._ADMITTED.values())
