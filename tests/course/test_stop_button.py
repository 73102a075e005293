"""The stop button of a notebook, as notebook 04 promises it: the cell fails, and what there is can be had."""

import contextlib
import queue
import time

import pytest
from jupyter_client.manager import start_new_kernel

LONG = """
import elit_helpers as eh

def tell(log):
    if len(log) == 3:
        print("running", flush=True)

sheet = eh.graphene_sheet((4, 2))
run = eh.run_md(sheet, engine="lammps:lcbop", steps=10**9, rng=1, watch=eh.Watch(on_progress=tell))
"""
AFTER = "import sys; part = sys.last_value.result; print(len(part.log) >= 3, part, 'run' in globals())"


@pytest.fixture
def client():
    manager, client = start_new_kernel(kernel_name="python3")
    client.manager = manager
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def said(client, until, *, patience_s=120):
    """Return what the kernel prints, up to a text."""
    text, end = "", time.monotonic() + patience_s
    while until not in text:
        assert time.monotonic() < end, text
        with contextlib.suppress(queue.Empty):
            text += client.get_iopub_msg(timeout=1)["content"].get("text", "")
    return text


@pytest.mark.slow
def test_the_cell_fails_the_next_are_not_run_and_what_there_is_can_be_had(client):
    first = client.execute(LONG)
    next_one = client.execute("print('went on')")
    assert "running" in said(client, "running")
    client.manager.interrupt_kernel()
    replies = {}
    while next_one not in replies:
        reply = client.get_shell_msg(timeout=60)
        replies[reply["parent_header"]["msg_id"]] = reply["content"]
    assert replies[first]["ename"] == "Stopped"
    assert "stopped by an interrupt after" in replies[first]["evalue"]
    assert replies[next_one]["status"] == "aborted"
    client.execute(AFTER)
    told = said(client, "False\n")
    assert "True Run(lammps:lcbop" in told
    assert "stopped: an interrupt after" in told
    assert "went on" not in told
