"""What became of every atom that was found, and of the relaxation, is counted and said."""

import numpy as np
import pandas as pd
import pytest
from tables import found_table

import elit_helpers as eh
from elit_helpers.pipeline.account import account, doubts, in_words, with_contacts


@pytest.fixture(scope="module")
def found():
    """A sheet of one frame: two of its atoms are seen twice, one is far off, and one is flagged."""
    sheet = eh.graphene_sheet((12.0, 12.0))
    xy = sheet.positions[:, :2]
    xy = np.vstack([xy, xy[:2] + 0.3, [[30.0, 30.0]], [[40.0, 2.0]]])
    table = found_table(xy, probability=[*np.full(len(sheet), 0.9), 0.6, 0.6, 0.9, 0.9])
    table["kept"], table["reason"] = True, ""
    table.loc[len(table) - 1, ["kept", "reason"]] = False, "edge"
    return table


@pytest.fixture(scope="module")
def told(found):
    structure = eh.to_atoms(found)
    table = with_contacts(found, structure)
    relaxation = eh.relax(structure, engine="lammps:lcbop", steps=2)
    return table, structure, relaxation, account(table, structure, relaxation)


def test_every_atom_found_is_in_the_structure_or_left_out_for_a_reason(told):
    table, structure, _, counts = told
    assert counts["left_out"] == {"contact": 2, "edge": 1}
    assert counts["found"] == len(table) == counts["kept"] + 3
    assert counts["kept"] == counts["in_structure"] == len(structure) == table["kept"].sum()
    assert counts["loose"] == 1
    assert counts["held"] + counts["moving"] == len(structure)


def test_the_less_probable_of_two_in_contact_is_flagged_and_the_table_given_is_not_touched(found, told):
    table = told[0]
    assert table.loc[table["reason"] == "contact", "probability"].tolist() == [0.6, 0.6]
    assert not (found["reason"] == "contact").any()


def test_columns_of_several_atoms_are_one_row_each():
    sheet = eh.sheet("MoS2", 14.0)
    top = sheet[(sheet.symbols == "Mo") | (sheet.positions[:, 2] > sheet.positions[:, 2].mean() + 1)]
    table = found_table(top.positions[:, :2], element=top.get_chemical_symbols())
    table["kept"], table["reason"] = True, ""
    structure = eh.to_atoms(table, material="MoS2")
    assert len(structure) > len(table)
    assert with_contacts(table, structure)["kept"].all()


def test_another_frame_keeps_what_it_had(found):
    table = pd.concat([found.assign(frame=0), found.assign(frame=1)], ignore_index=True)
    told = with_contacts(table, eh.to_atoms(table, frame=1))
    assert told.loc[told["reason"] == "contact", "frame"].tolist() == [1, 1]


def test_doubts_name_contacts_loose_atoms_and_a_relaxation_that_has_not_come_to_rest(told):
    _, _, relaxation, counts = told
    many = counts | {"left_out": {"contact": 20}, "loose": 30}
    said = doubts(many, relaxation)
    parts = ("20 of the", "30 of the", "stopped after 2 steps")
    assert [text for part, text in zip(parts, said, strict=True) if part not in text] == []
    assert "no minimum. The dynamics starts from there" in said[-1]
    settled = eh.relax(eh.graphene_sheet((5, 3)), engine="lammps:lcbop")
    assert doubts(counts | {"left_out": {}, "loose": 0}, settled) == []


def test_the_summary_has_each_number(told):
    _, _, relaxation, counts = told
    text = in_words(counts, relaxation)
    for part in (
        f"{counts['found']} atoms found, 3 left out", "2 contact", "1 edge", "1 of them loose", "NOT at rest",
    ):  # fmt: skip
        assert part in text
