"""What tests of several folders are handed; how property tests draw is set up by support/searching.py."""

import numpy as np
import pytest

pytest_plugins = ["searching"]


@pytest.fixture
def frame():
    """Counts of a small frame, no two tests the same array."""
    return np.random.default_rng(0).integers(5, 60, (48, 64)).astype(np.float32)
