"""Interrupts that are really sent: at a given call of a hook, or after a time."""

import os
import signal
from contextlib import contextmanager


def interrupt_at(count, measure=None, *, number=signal.SIGINT, then=None, times=1):
    """Return a hook that sends a signal to this process, `times` in a row, at its `count`-th call.

    With `measure` it does so where `measure` of its first argument is `count`. `then` is what it does else,
    before the signal where that is due: the function in whose place it stands.
    """
    calls = [0]

    def hook(*arguments, **settings):
        answer = then(*arguments, **settings) if then else None
        calls[0] += 1
        if (measure(arguments[0]) if measure else calls[0]) == count:
            for _ in range(times):
                os.kill(os.getpid(), number)
        return answer

    return hook


@contextmanager
def interrupted_after(seconds):
    """Interrupt this block after a time of the clock, wherever it then is."""
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
