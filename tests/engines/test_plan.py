"""What passes between a run and its engine."""

import numpy as np
import pytest
from sheets import SHEET

import elit_helpers as eh
from elit_helpers.engines import plan


@pytest.mark.parametrize("name", ["positions", "velocities", "forces", "energy"])
def test_a_moment_that_holds_no_number_is_none(name):
    values = {"positions": SHEET.positions, "velocities": 0 * SHEET.positions, "forces": 0 * SHEET.positions}
    values |= {"energy": 0.0, "cell": np.eye(3), "step": 7}
    with pytest.raises(eh.SimulationError, match=f"after 7 steps .*{name}.* not a number.*Relax it first"):
        plan.Snapshot(**values | {name: np.add(values[name], np.inf)})
