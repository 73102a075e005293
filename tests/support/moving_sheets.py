"""A small sheet whose atoms swing ever farther: frames for what draws simulations."""

from ase.build import graphene

SHEET = graphene(size=(3, 3, 1), vacuum=5)


def rattled(step_A, count=4):
    """Return frames of the sheet: the first at rest, each other one displaced by `step_A` [Å] more."""
    moved = [SHEET.copy() for _ in range(count)]
    for number, frame in enumerate(moved):
        frame.rattle(step_A * number, seed=number)
    return moved
