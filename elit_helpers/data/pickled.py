"""Pickled ``.npy`` files of arrays in plain containers, read without running what they ask for.

A pickle is a program. It is followed here step by step, but it can call nothing: the few names that NumPy
writes for its arrays stand for makers of this file, any other name is refused, and large arrays stay in the
file until they are used.
"""

from __future__ import annotations

import math
import mmap
import pickle
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from elit_helpers.core.checks import PathLike

_MAPPED_FROM = 1 << 16
"""Arrays from this many bytes on stay in the file; what is smaller shares pages with too much else."""

_KINDS = re.compile(r"[biufcSU]\d{1,9}|O8?")
"""Types of elements: truth values, numbers, text, and `O` for containers of admitted things."""

# Left out: persistent ids, classes with their own __new__, registered extensions, byte arrays, buffers.
_STEPS = """
    PROTO FRAME STOP MARK POP POP_MARK PUT BINPUT LONG_BINPUT MEMOIZE GET BINGET LONG_BINGET
    NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT
    UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8 SHORT_BINBYTES BINBYTES BINBYTES8
    EMPTY_LIST LIST APPEND APPENDS EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3
    EMPTY_DICT DICT SETITEM SETITEMS GLOBAL STACK_GLOBAL REDUCE BUILD
"""


def read_plain(path: PathLike) -> Any:
    """Read a ``.npy`` file of NumPy arrays, numbers, text, lists, tuples and dicts; nothing in it is run.

    Parameters
    ----------
    path
        File that `numpy.save` wrote, with or without a pickle in it.

    Returns
    -------
    object
        What was saved; an object array without dimensions gives the object in it. Arrays over 64 kB are
        mapped from the file, read-only, so opening gigabytes takes little time and memory.

    Raises
    ------
    ValueError
        If the file is broken, or asks for anything but arrays and plain containers.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            if version not in _HEADERS:
                raise ValueError(f"its .npy format is {version}, known are 1.0 and 2.0")
            dtype = _HEADERS[version](file)[2]
            if not dtype.hasobject:
                return np.load(path, mmap_mode="r")
            value = _Reader(_Source(file, path)).read_all()
    except _BROKEN as error:
        reason = str(error) or type(error).__name__
        raise ValueError(
            f"{path.name} was not read: {reason}. Only NumPy arrays, numbers, text, lists, tuples and dicts "
            "are admitted, because a pickle can run code. Fetch the file anew, or save plain arrays with "
            "numpy.savez."
        ) from error
    return value[()] if isinstance(value, np.ndarray) and value.shape == () else value


_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_BROKEN = (
    ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError, OverflowError, RecursionError,
    MemoryError, struct.error, pickle.UnpicklingError,
)  # fmt: skip
"""What following a broken pickle can raise."""


# --------------------------------------------------------------------------- the file
class _Source:
    """A file that never promises more bytes than it has, and that can be mapped."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self.file, self.path, self.size = file, path, path.stat().st_size
        self._map: mmap.mmap | None = None

    def read(self, n: int) -> bytes:
        self._check(n)
        return self.file.read(n)

    def readline(self) -> bytes:
        return self.file.readline()

    def skip(self, n: int) -> _Span:
        """Step over `n` bytes and say where they are."""
        self._check(n)
        start = self.file.tell()
        self.file.seek(n, 1)
        return _Span(start, n)

    def _check(self, n: int) -> None:
        if n > self.size - self.file.tell():
            raise EOFError("it ends too early")

    @property
    def map(self) -> mmap.mmap:
        """The whole file as read-only memory, made once and kept by the arrays that use it."""
        if self._map is None:
            self._map = mmap.mmap(self.file.fileno(), 0, access=mmap.ACCESS_READ)
        return self._map


@dataclass(frozen=True)
class _Span:
    """Bytes that stayed in the file."""

    start: int
    n: int


# --------------------------------------------------------------------------- what stands for a call
class _Dtype:
    """Type of elements; numpy.dtype itself would take fields, subtypes and metadata too."""

    def __init__(self, code: str, *_flags: Any) -> None:
        if not isinstance(code, str) or not _KINDS.fullmatch(code):
            raise pickle.UnpicklingError(f"it holds elements of the type {code!r}")
        self.dtype = np.dtype(code)

    def set_state(self, state: tuple) -> None:
        order, subtype, names, fields = state[1:5]
        if (subtype, names, fields) != (None, None, None) or order not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError("it holds records")
        if order in "<>":
            self.dtype = self.dtype.newbyteorder(order)


class _Array:
    """An array whose shape, type and bytes come after it was made."""

    def __init__(self, kind: Any, *_first_shape: Any) -> None:
        if kind is not _ADMITTED["numpy", "ndarray"]:
            raise pickle.UnpicklingError("it holds a subclass of arrays")
        self.state: tuple | None = None

    def set_state(self, state: tuple) -> None:
        _version, shape, dtype, fortran, raw = state
        if not isinstance(dtype, _Dtype) or not all(type(n) is int and n >= 0 for n in shape):
            raise pickle.UnpicklingError("it holds an array without a proper shape and type")
        n = len(raw) if isinstance(raw, (bytes, list)) else raw.n
        if n != math.prod(shape) * (1 if dtype.dtype.hasobject else dtype.dtype.itemsize):
            raise pickle.UnpicklingError(f"an array of shape {shape} does not fit its {n} bytes or items")
        if isinstance(raw, list) != dtype.dtype.hasobject:
            raise pickle.UnpicklingError("it holds an array of objects without the objects")
        self.state = (tuple(shape), dtype.dtype, "F" if fortran else "C", raw)


def _scalar(dtype: _Dtype, raw: bytes) -> Any:
    if not isinstance(dtype, _Dtype) or dtype.dtype.hasobject or len(raw) != dtype.dtype.itemsize:
        raise pickle.UnpicklingError("it holds a number that is none")
    return np.frombuffer(raw, dtype.dtype)[0]


def _encode(text: str, coding: str) -> bytes:
    if coding != "latin1":
        raise pickle.UnpicklingError(f"it asks for the coding {coding!r}")
    return text.encode("latin1")  # how protocols before 3 write bytes


def _no_call(*_arguments: Any) -> None:
    raise pickle.UnpicklingError("it makes an array in a way that numpy.save does not")


@dataclass(frozen=True, eq=False)
class _Maker:
    """What an admitted name stands for; not callable, so that only `_Reader` can use it."""

    make: Callable[..., Any]


_CORES = ("numpy.core.multiarray", "numpy._core.multiarray")  # before NumPy 2, and since
_ADMITTED = {
    ("numpy", "ndarray"): _Maker(_no_call),
    ("numpy", "dtype"): _Maker(_Dtype),
    **{(core, "_reconstruct"): _Maker(_Array) for core in _CORES},
    **{(core, "scalar"): _Maker(_scalar) for core in _CORES},
    ("_codecs", "encode"): _Maker(_encode),
    ("collections", "OrderedDict"): _Maker(dict),
    ("builtins", "complex"): _Maker(complex),
    ("__builtin__", "complex"): _Maker(complex),
}


# --------------------------------------------------------------------------- following the pickle
class _Steps(dict):
    """The steps that are followed; any other is refused when the pickle comes to it."""

    def __missing__(self, step: int) -> Callable:
        raise pickle.UnpicklingError(f"it takes the step {bytes([step])!r}")


class _Reader(pickle._Unpickler):
    """The unpickler of the standard library written in Python, whose every step can be replaced."""

    dispatch = _Steps(
        {step: pickle._Unpickler.dispatch[step] for step in (getattr(pickle, s)[0] for s in _STEPS.split())}
    )

    def __init__(self, source: _Source) -> None:
        super().__init__(source)
        self.source = source

    def read_all(self) -> Any:
        return self._finish(self.load(), {})

    def find_class(self, module: str, name: str) -> _Maker:
        if (module, name) not in _ADMITTED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return _ADMITTED[module, name]

    def load_frame(self) -> None:
        self.read(8)  # frames only save calls of read; without them the place in the file is always known

    dispatch[pickle.FRAME[0]] = load_frame

    def load_reduce(self) -> None:
        arguments = self.stack.pop()
        maker = self.stack[-1]
        if type(maker) is not _Maker or type(arguments) is not tuple:
            raise pickle.UnpicklingError("it calls what is no function")
        self.stack[-1] = maker.make(*arguments)

    dispatch[pickle.REDUCE[0]] = load_reduce

    def load_build(self) -> None:
        state = self.stack.pop()
        if type(self.stack[-1]) not in (_Array, _Dtype) or type(state) is not tuple:
            raise pickle.UnpicklingError("it sets the state of something that has none")
        self.stack[-1].set_state(state)

    dispatch[pickle.BUILD[0]] = load_build

    def load_binbytes(self) -> None:
        self._append_bytes(struct.unpack("<I", self.read(4))[0])

    dispatch[pickle.BINBYTES[0]] = load_binbytes

    def load_binbytes8(self) -> None:
        self._append_bytes(struct.unpack("<Q", self.read(8))[0])

    dispatch[pickle.BINBYTES8[0]] = load_binbytes8

    def _append_bytes(self, n: int) -> None:
        self.append(self.source.skip(n) if n >= _MAPPED_FROM else self.source.read(n))

    def _finish(self, value: Any, done: dict[int, tuple]) -> Any:
        """Put arrays in the place of stand-ins, wherever they are; refuse what is neither array nor plain."""
        if value is None or isinstance(value, (bool, int, float, complex, str, bytes, np.generic)):
            return value
        if id(value) not in done:
            # The value is kept beside its result: an id is only its own while it lives.
            if type(value) is dict:
                done[id(value)] = value, value
                items = [(self._finish(k, done), self._finish(v, done)) for k, v in value.items()]
                value.clear()
                value.update(items)
            elif type(value) is list:
                done[id(value)] = value, value
                value[:] = [self._finish(v, done) for v in value]
            elif type(value) is tuple:
                done[id(value)] = value, tuple(self._finish(v, done) for v in value)
            elif type(value) is _Span:
                done[id(value)] = value, self.source.map[value.start : value.start + value.n]
            elif type(value) is _Array and value.state is not None:
                self._finish_array(value, done)
            else:
                raise pickle.UnpicklingError("it holds something that is neither array nor plain container")
        return done[id(value)][1]

    def _finish_array(self, value: _Array, done: dict[int, tuple]) -> None:
        shape, dtype, order, raw = value.state
        if isinstance(raw, list):
            flat = np.empty(len(raw), object)
            done[id(value)] = value, flat.reshape(shape, order=order)
            for i, item in enumerate(raw):
                flat[i] = self._finish(item, done)  # one by one: given all, numpy would unpack them
            return
        buffer, start = (self.source.map, raw.start) if isinstance(raw, _Span) else (raw, 0)
        done[id(value)] = value, np.ndarray(shape, dtype, buffer, start, order=order)
