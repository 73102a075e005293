"""Interrupts are exceptions that say where they came; what must not stop halfway holds them back."""

import os
import pickle
import signal
import threading

import pytest
from signals import interrupt_at

import elit_helpers as eh
from elit_helpers.core.interrupts import Hold, stopped_as, terminable

BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)


@pytest.fixture(autouse=True)
def handlers_are_as_they_were():
    """See that nothing of ours stays installed."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    assert {number: signal.getsignal(number) for number in handlers} == handlers


def send(number=signal.SIGINT):
    os.kill(os.getpid(), number)


class TestStopped:
    def test_it_is_an_interrupt_and_no_error(self):
        assert issubclass(eh.Stopped, KeyboardInterrupt)
        assert not issubclass(eh.Stopped, Exception)

    def test_it_comes_from_another_process_as_it_left(self):
        stop = pickle.loads(pickle.dumps(eh.Stopped("after 3 of 5", [1, 2, 3])))
        assert (str(stop), stop.result) == ("after 3 of 5", [1, 2, 3])

    def test_an_interrupt_of_a_block_is_given_its_text_and_result(self):
        there = []

        def work():
            with stopped_as(lambda said: f"2 of 5 <{said}>", lambda: there):
                there.append(1)
                send()

        with pytest.raises(eh.Stopped, match="2 of 5 <>") as stop:
            work()
        assert stop.value.result == [1]
        assert isinstance(stop.value.__cause__, KeyboardInterrupt)

    def test_an_error_of_a_block_stays_what_it_is(self):
        with pytest.raises(ZeroDivisionError), stopped_as(lambda _: "never"):
            1 / 0  # noqa: B018


class TestHold:
    @BOTH
    def test_what_comes_waits_for_the_end(self, number):
        def work():
            with terminable(), Hold():
                send(number)
                done.append("the rest")

        done = []
        with pytest.raises(KeyboardInterrupt):
            work()
        assert done == ["the rest"]

    def test_many_are_one(self):
        def work():
            with terminable(), Hold():
                for number in (signal.SIGINT, signal.SIGTERM) * 3:
                    send(number)

        with pytest.raises(KeyboardInterrupt):
            work()

    def test_one_in_another_waits_for_the_outer_end(self):
        def work():
            with Hold():
                with Hold() as inner, inner.let_through():
                    send()
                    done.append("inner")
                done.append("outer")

        done = []
        with pytest.raises(KeyboardInterrupt):
            work()
        assert done == ["inner", "outer"]

    def test_the_long_part_is_interrupted_and_the_end_is_not(self):
        def work():
            with Hold() as interrupts:
                try:
                    with interrupts.let_through():
                        send()
                        done.append("never")
                finally:
                    send()
                    done.append("cleaned up")

        done = []
        with pytest.raises(KeyboardInterrupt):
            work()
        assert done == ["cleaned up"]

    def test_one_that_came_before_the_long_part_keeps_it_from_beginning(self):
        def work():
            with Hold() as interrupts:
                send()
                with interrupts.let_through():
                    pytest.fail("it began")

        with pytest.raises(KeyboardInterrupt):
            work()

    def test_the_first_one_keeps_its_text(self):
        def work():
            with Hold():
                send()
                raise eh.Stopped("with a text")

        with pytest.raises(eh.Stopped, match="with a text"):
            work()

    def test_what_is_forgotten_is_not_raised(self):
        with Hold() as interrupts:
            send()
            interrupts.forget()

    def test_an_interrupt_while_it_is_put_in_place_leaves_the_signals_at_work(self, monkeypatch):
        own = signal.getsignal(signal.SIGINT)
        monkeypatch.setattr(signal, "signal", interrupt_at(1, then=signal.signal))
        with pytest.raises(KeyboardInterrupt), Hold():
            pytest.fail("it began")
        monkeypatch.undo()
        with pytest.raises(KeyboardInterrupt):
            send()
        signal.signal(signal.SIGINT, own)

    def test_in_another_thread_it_does_nothing(self):
        def work():
            with Hold() as interrupts, interrupts.let_through():
                done.append(signal.getsignal(signal.SIGINT))

        done = []
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert done == [signal.getsignal(signal.SIGINT)]


class TestTerminable:
    @pytest.mark.parametrize(
        ("numbers", "status"), [((2,), 130), ((15,), 143), ((15, 2), 143), ((15, 15), 143)]
    )
    def test_the_status_is_that_of_the_first_signal(self, numbers, status):
        with terminable() as exit_status:
            for number in numbers:
                with pytest.raises(KeyboardInterrupt):
                    send(number)
            assert exit_status() == status

    def test_a_handler_of_the_program_around_is_left_to_it(self):
        came = []
        own = signal.signal(signal.SIGTERM, lambda number, _: came.append(number))
        try:
            with terminable():
                send(signal.SIGTERM)
        finally:
            signal.signal(signal.SIGTERM, own)
        assert came == [signal.SIGTERM]
