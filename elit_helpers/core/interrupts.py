"""Interrupts (Ctrl-C, the stop button of a notebook, SIGTERM) are exceptions: nobody goes on after one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
    """An interrupt that says where it came, and holds what there was until then.

    It is a `KeyboardInterrupt`: it ends a script and the cells of a notebook, and no ``except Exception``
    takes it for an error. In a notebook what it holds is ``sys.last_value.result`` afterwards.

    Attributes
    ----------
    result
        What was computed until then, which says of itself that it was stopped; None if there was nothing yet.
    """

    result: Any = None

    def __init__(self, text: str = "", result: Any = None):
        super().__init__(text)
        self.result = result


@contextmanager
def stopped_as(say: Callable[[str], str], result: Callable[[], Any] = lambda: None) -> Iterator[None]:
    """Turn an interrupt of this block into a `Stopped` with what `say` makes of its text, and with a result.

    Both are asked for only then.
    """
    try:
        yield
    except KeyboardInterrupt as interrupt:
        raise Stopped(say(str(interrupt)), result()) from interrupt


class Hold:
    """Interrupts that come in this block wait until its end, so that it is done wholly or not begun.

    For what must not stop halfway: moving files into place, cleaning up, ending a process that was begun. It
    is to be short, but for `let_through`. Outside the main thread, where no interrupt ever comes, it does
    nothing.
    """

    def __init__(self) -> None:
        self._own: dict[int, Callable[[int, Any], Any]] = {}
        self._came: tuple[int, Any] | None = None
        self._holding = False

    def __enter__(self) -> Hold:
        if _in_main_thread():
            for number in SIGNALS:
                own = signal.getsignal(number)
                if callable(own):  # else it is ignored, or ends the process at once
                    self._own[number] = own
                    signal.signal(number, self._hear)
        self._holding = True
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        self._holding = False
        if _in_main_thread():
            for number, own in self._own.items():
                signal.signal(number, own)
        on_its_way = kind is not None and issubclass(kind, KeyboardInterrupt)  # and says more
        if not on_its_way:
            self._deliver()

    def _hear(self, number: int, frame: Any) -> None:
        # Where something interrupted the putting back, this stays in place and hands on.
        if self._holding:
            self._came = self._came or (number, frame)
        else:
            self._own[number](number, frame)

    def _deliver(self) -> None:
        if self._came is not None:
            (number, frame), self._came = self._came, None
            self._own[number](number, frame)

    @contextmanager
    def let_through(self) -> Iterator[None]:
        """Interrupts come through in this block: in the long part between a beginning and its end."""
        self._holding = False
        try:
            self._deliver()
            yield
        finally:
            self._holding = True

    def forget(self) -> None:
        """Drop what came until now: it asked for what is being done already."""
        self._came = None


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


@contextmanager
def terminable() -> Iterator[Callable[[], int]]:
    """SIGTERM interrupts this block as Ctrl-C does; gives the exit status of the one that came first.

    A SIGTERM that the program around has a handler for, or ignores, is left to it.
    """
    statuses: list[int] = []

    def interrupt(number: int, _frame: Any) -> None:
        statuses.append(128 + number)
        raise KeyboardInterrupt

    ours = _in_main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGTERM, interrupt)
    try:
        yield lambda: statuses[0] if statuses else 128 + signal.SIGINT
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
