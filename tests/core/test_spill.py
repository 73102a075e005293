"""Arrays on a temporary file are arrays like any other, and need not the memory of the process."""

import os
import subprocess
import sys

import numpy as np
import pytest

from elit_helpers.core.spill import roomy


@pytest.mark.parametrize("shape", [(3, 4), (600, 1000), (2, 0)])
def test_it_is_a_plain_array_of_zeros_that_keeps_what_is_written(shape):
    array = roomy(shape, np.float32)
    assert (type(array), array.shape, array.dtype) == (np.ndarray, shape, np.float32)
    assert not array.any()
    array += 2
    assert array.sum() == 2 * np.prod(shape)


def test_without_room_on_the_disk_it_lies_in_memory(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    assert roomy((1000, 1000), np.float32).sum() == 0


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc")
def test_a_large_one_is_no_memory_of_the_process():
    code = """
import numpy as np
from elit_helpers.core.spill import roomy
def mine(): return int(open("/proc/self/status").read().split("RssAnon:")[1].split()[0]) / 1024
before = mine(); array = roomy((50, 1000, 1000), np.uint8); array += 1
print(mine() - before)
"""
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert float(said.stdout) < 15
