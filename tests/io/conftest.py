"""A frame to write in every format."""

import numpy as np
import pytest


@pytest.fixture
def frame():
    return np.random.default_rng(0).integers(5, 60, (48, 64)).astype(np.float32)
