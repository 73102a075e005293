"""Algorithm 1: what is believed, what is learned from, and that the loop holds together."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from sheets import honeycomb

import elit_helpers as eh
from elit_helpers.elit import candidates, patches, select
from elit_helpers.elit import labels as label_lines
from elit_helpers.elit import rounds as elit_rounds
from elit_helpers.elit.elements import assign_elements
from elit_helpers.elit.honeycomb import Honeycomb
from elit_helpers.ensemble.networks import UNSURE
from elit_helpers.ensemble.settings import with_elements
from elit_helpers.samples.sheets import columns

PX = 0.15


def lattice(length=30.0):
    """Graphene (row, column) [px] over a square."""
    return honeycomb(length, turn=0.2, start=(length / 2, length / 2), border_A=1.0) / PX


def picture(row_col, weights=None, shape=(200, 200), noise=0.15, sigma=0.45 / PX):
    rows, cols = np.arange(shape[0])[:, None], np.arange(shape[1])[:, None]
    gr = np.exp(-((rows - row_col[:, 0]) ** 2) / (2 * sigma**2))
    gc = np.exp(-((cols - row_col[:, 1]) ** 2) / (2 * sigma**2))
    image = (gr * (np.ones(len(row_col)) if weights is None else weights)) @ gc.T
    return (image + noise * np.random.default_rng(0).normal(size=shape)).astype(np.float32) + 3


def table_of(row_col, element="C", reason=""):
    return pd.DataFrame(
        {"frame": 0, "row_px": row_col[:, 0], "col_px": row_col[:, 1], "element": element, "reason": reason}
    ).assign(kept=lambda t: t["reason"] == "")


def labels_of(frame, row_col, table):
    return label_lines.label_frame(frame, row_col, table, classes=("C",), pixel_size=PX).mask


def value_at(mask, positions):
    return candidates.at(mask, positions)


# ------------------------------------------------------------------------- what is believed
def test_a_missing_atom_is_asked_for_by_its_three_neighbours():
    sheet = lattice()
    gone = np.argmin(((sheet - 100) ** 2).sum(1))
    rest = np.delete(sheet, gone, 0)
    sites, votes = candidates.missing_sites(rest, rest, pixel_size=PX)
    nearest = np.argmin(((sites - sheet[gone]) ** 2).sum(1))
    assert np.hypot(*(sites[nearest] - sheet[gone])) * PX < 0.1
    assert votes[nearest] == 3


def test_an_overlooked_atom_is_labelled_if_the_picture_shows_it():
    sheet = lattice()
    gone = np.argmin(((sheet - 100) ** 2).sum(1))
    rest, middle = np.delete(sheet, gone, 0), sheet[gone : gone + 1]
    seen = labels_of(picture(sheet), rest, table_of(rest))
    vacancy = labels_of(picture(rest), rest, table_of(rest))
    assert value_at(seen, middle) == [0]
    assert value_at(vacancy, middle) != [0]


def test_a_candidate_alone_becomes_background_and_a_doubtful_one_unsure():
    sheet = lattice()
    hole = np.hypot(*(sheet - 100).T) * PX > 6
    alone, extra = np.array([[100.0, 100.0]]), sheet[hole][:1] + [4.0, 0.0]
    positions = np.concatenate([sheet[hole], alone])
    mask = labels_of(picture(sheet[hole]), positions, table_of(positions))
    assert value_at(mask, alone) == [1]
    positions = np.concatenate([sheet[hole], extra])
    faint = table_of(positions)
    faint.loc[len(faint) - 1, ["reason", "kept"]] = ["low probability", False]
    mask = labels_of(picture(sheet[hole]), positions, faint)
    assert UNSURE in mask[(np.hypot(*(np.indices(mask.shape) - extra[0][:, None, None])) < 4)]


def test_a_part_of_the_sheet_that_was_overlooked_teaches_nothing():
    sheet = lattice()
    known = sheet[sheet[:, 1] < 130]
    mask = labels_of(picture(sheet), known, table_of(known))
    overlooked = sheet[sheet[:, 1] > 165]
    assert np.mean(value_at(mask, overlooked) == 1) < 0.2


def test_a_hole_is_background():
    sheet = lattice()
    sheet = sheet[np.hypot(*(sheet - 100).T) * PX > 6]
    mask = labels_of(picture(sheet), sheet, table_of(sheet))
    inside = np.hypot(*(np.indices(mask.shape) - 100)) * PX < 4
    assert np.mean(mask[inside] == 1) > 0.9


# ------------------------------------------------------------------------- elements
def test_silicon_is_told_from_carbon_on_a_hill_of_contamination():
    sheet = lattice()
    rng = np.random.default_rng(1)
    silicon = rng.choice(len(sheet), 6, replace=False)
    weights = np.ones(len(sheet))
    weights[silicon] = 2.6
    hill = 6 * np.exp(-((np.arange(200) - 150) ** 2) / (2 * 25**2))[:, None]
    frame = picture(sheet, weights, noise=0.25) + hill
    named = assign_elements(table_of(sheet), frame, pixel_size=PX)
    assert set(np.flatnonzero(named["element"] == "Si")) == set(silicon.tolist())
    assert named["impurity_chance"].between(0, 1).all()


def test_carbon_alone_stays_carbon():
    sheet = lattice()
    named = assign_elements(table_of(sheet), picture(sheet, noise=0.4), pixel_size=PX)
    assert set(named["element"]) == {"C"}


@pytest.fixture(scope="module")
def mos2():
    """A noisy frame of MoS2 with single S missing, its columns (row, column) [px] and their elements."""
    rng = np.random.default_rng(3)
    atoms = eh.sheet("MoS2", (60.0, 60.0), angle=17)
    sulphur = np.flatnonzero(np.array(atoms.get_chemical_symbols()) == "S")
    keep = np.ones(len(atoms), bool)
    keep[rng.choice(sulphur, 40, replace=False)] = False
    imaging = eh.Imaging(
        pixel_size=PX, shape=(400, 400), spot_sigma_A=0.55, dose=3, pedestal=10, background=2, jitter_A=0.05
    )
    frame = eh.simulate_frame(atoms[keep], imaging, rng=rng)
    table = columns(atoms[keep])
    row_col = eh.to_pixels(table[["x_A", "y_A"]].to_numpy(), pixel_size=PX, height=400)
    inside = ((row_col > 3) & (row_col < 396)).all(1)
    found = row_col[inside] + rng.normal(0, 0.07 / PX, (inside.sum(), 2))
    return frame, found, table["element"].to_numpy()[inside]


def test_molybdenum_and_sulphur_part_though_brightness_alone_does_not_tell(mos2):
    frame, row_col, element = mos2
    named = assign_elements(table_of(row_col, ""), frame, pixel_size=PX, material="MoS2")
    brighter = named["relative_brightness"] > named["relative_brightness"].median()
    assert np.mean(brighter == (element == "Mo")) < 0.93  # so noisy is it
    assert np.mean(named["element"] == element) >= 0.97
    assert np.mean(named["element_chance"] > 0.9) > 0.95


def test_an_added_column_of_mos2_gets_the_element_its_neighbours_are_not(mos2):
    frame, row_col, element = mos2
    gone = np.argmin(((row_col - 200) ** 2).sum(1))
    rest, sheet = np.delete(row_col, gone, 0), Honeycomb.of("MoS2")
    table = table_of(rest, np.delete(element, gone)).assign(element_chance=1.0)
    known = label_lines.label_frame(frame, rest, table, classes=("S", "Mo"), pixel_size=PX, sheet=sheet)
    assert value_at(known.mask, row_col[gone : gone + 1]) == ["S", "Mo"].index(element[gone])


def test_lengths_follow_the_bond_of_the_material():
    assert Honeycomb.of("graphene").scale == pytest.approx(1)
    mos2 = Honeycomb.of("MoS2")
    assert mos2.material.bond == pytest.approx(3.16 / np.sqrt(3), abs=1e-3)
    assert (mos2.elements, mos2.default_classes) == (("Mo", "S"), ("Mo", "S"))
    assert Honeycomb.of("hBN").elements == ("N", "B")
    sheet = lattice() * mos2.scale
    assert set(candidates.bonded(sheet, pixel_size=PX, sheet=mos2)) <= {1, 2, 3}
    assert np.median(candidates.bonded(sheet, pixel_size=PX, sheet=mos2)) == 3


def test_a_material_that_is_not_threefold_is_refused():
    sheet = lattice()
    with pytest.raises(ValueError, match="SrTiO3, whose columns do not each have three neighbours"):
        assign_elements(table_of(sheet), picture(sheet), pixel_size=PX, material="SrTiO3")


@pytest.mark.parametrize("classes", ["Si", ("C",), ("C", "C")])
def test_elements_to_tell_apart_are_two(classes):
    sheet = lattice()
    with pytest.raises(ValueError, match="`classes` is .* for graphene give two elements"):
        assign_elements(table_of(sheet), picture(sheet), pixel_size=PX, classes=classes)


def test_a_sheet_of_two_elements_has_those_two(mos2):
    frame, row_col, _ = mos2
    with pytest.raises(ValueError, match="such as .'Mo', 'S'."):
        assign_elements(table_of(row_col), frame, pixel_size=PX, material="MoS2", classes=("C", "Si"))


# ------------------------------------------------------------------------- patches
def test_patches_are_drawn_about_what_is_rare():
    sheet = lattice(80.0)
    frame, corner = picture(sheet, shape=(530, 530)), sheet[np.argmin(((sheet - 60) ** 2).sum(1))]
    mask = 2 * labels_of(frame, sheet, table_of(sheet))
    mask[tuple(corner.round().astype(int))] = 1  # a class that this one atom alone has

    def share(anchors):
        _, labels = patches.cut_patches(
            frame[None], [mask], 2, n=200, rng=np.random.default_rng(1), noise=0.0, anchors=anchors
        )
        return np.mean((labels == 1).any((1, 2)))

    by_chance, anchored = share(None), share([[(1 / 3, corner[None])]])
    assert by_chance < 0.06
    assert 0.15 < anchored < 0.5


def test_under_coordinated_atoms_are_known_and_the_border_is_none():
    sheet = lattice()
    gone = np.argmin(((sheet - 100) ** 2).sum(1))
    rest = np.delete(sheet, gone, 0)
    known = label_lines.label_frame(picture(rest), rest, table_of(rest), classes=("C",), pixel_size=PX)
    near = np.hypot(*(known.defects - sheet[gone]).T) * PX < 1.6
    assert near.sum() == 3


def test_added_hills_drown_atoms_and_leave_others():
    sheet = lattice()
    mask = labels_of(picture(sheet), sheet, table_of(sheet))
    rng = np.random.default_rng(1)
    disturbed = patches._Disturbed(picture(sheet), mask, 1, 0.3, rng)
    drawn = [disturbed.draw(rng)[1] for _ in range(8)]
    left = [np.mean(labels[mask == 0] == 0) for labels in drawn]
    assert min(left) < 0.9
    assert max(left) > 0.95
    assert not any((labels[mask == 1] == 0).any() for labels in drawn)


# ------------------------------------------------------------------------- with an ensemble
@pytest.fixture(scope="module")
def sheet():
    return lattice()


@pytest.fixture(scope="module")
def frames(sheet):
    weights = np.ones(len(sheet))
    weights[[40, 90, 140, 200]] = 2.8
    return np.stack([picture(sheet, weights, noise=n) for n in (0.2, 0.25)])


@pytest.fixture(scope="module")
def prediction(frames):
    ensemble = eh.default_ensemble()
    one = eh.predict(ensemble, frames, pixel_size=PX)
    join = lambda p: np.stack([p[..., :-1].sum(-1), p[..., -1]], -1)  # noqa: E731
    return dataclasses.replace(
        one, mean=join(one.mean), std=join(one.std), members=join(one.members), classes=("C",)
    )


def test_training_data_are_patches_with_labels_that_repeat_for_a_seed(prediction, frames):
    images, labels = eh.training_data_from(prediction, frames, n=12, rng=1)
    again, _ = eh.training_data_from(prediction, frames, n=12, rng=1)
    assert images.shape == labels.shape == (12, 64, 64)
    assert np.array_equal(images, again)
    assert set(np.unique(labels)) <= {UNSURE, 0, 1}
    assert images[labels == 0].mean() > images[labels == 1].mean() + 0.5


def test_many_of_the_multi_class_patches_hold_an_impurity(prediction, frames):
    _, labels = eh.multi_class_data(prediction, frames, n=30, rng=1)
    assert set(np.unique(labels)) <= {UNSURE, 0, 1, 2}
    assert np.mean((labels == 1).any((1, 2))) > 0.3


def test_without_an_impurity_the_error_says_so(prediction, sheet):
    plain = np.stack([picture(sheet, noise=n) for n in (0.2, 0.25)])
    with pytest.raises(eh.NoAtomsFound, match="no Si to learn from"):
        eh.multi_class_data(prediction, plain, n=4, rng=1)


def test_without_atoms_there_is_nothing_to_learn_from(prediction, frames):
    nothing = dataclasses.replace(prediction, mean=np.zeros_like(prediction.mean) + [0, 1], members=None)
    with pytest.raises(eh.NoAtomsFound, match="pixel size"):
        eh.training_data_from(nothing, frames, n=4)


def test_frames_of_another_size_are_refused(prediction, frames):
    with pytest.raises(ValueError, match="frames that went into predict"):
        eh.training_data_from(prediction, frames[:1])


def test_a_member_that_sees_atoms_in_noise_is_left_out(frames):
    ensemble = eh.default_ensemble()
    prediction = eh.predict(ensemble, frames, pixel_size=PX)
    rng = np.random.default_rng(0)
    wild = prediction.members[0].copy()
    for row, col in rng.integers(5, 195, (150, 2)):
        wild[:, row - 2 : row + 3, col - 2 : col + 3] = [1, 0, 0]
    prediction.members[0] = wild
    chosen, scores = eh.select_artifact_free(ensemble, prediction, frames)
    assert not scores.loc[0, "kept"]
    assert scores["score"].idxmin() == 0
    assert len(chosen) == len(ensemble) - 1


def test_a_choice_by_hand_is_taken_as_it_is(frames):
    ensemble = eh.default_ensemble()
    prediction = eh.predict(ensemble, frames, pixel_size=PX)
    chosen, scores = eh.select_artifact_free(ensemble, prediction, frames, keep=[0, 3])
    assert chosen.card["chosen_members"] == [0, 3]
    assert scores.loc[scores["kept"], "member"].tolist() == [0, 3]


def test_a_choice_needs_the_maps_of_the_members(frames):
    ensemble = eh.default_ensemble()
    prediction = eh.predict(ensemble, frames, pixel_size=PX, members=False)
    with pytest.raises(ValueError, match="members=True"):
        eh.select_artifact_free(ensemble, prediction, frames)


def test_the_two_frames_that_judge_a_member_are_spread_over_the_movie(prediction, frames, monkeypatch):
    seen = []
    original = select._one
    monkeypatch.setattr(select, "_one", lambda p, f, i, s: seen.append(len(f)) or original(p, f, i, s))
    three = np.concatenate([frames, frames[:1]])
    like = {name: np.concatenate([getattr(prediction, name)] * 2)[:3] for name in ("mean", "std")}
    members = np.concatenate([prediction.members] * 2, axis=1)[:, :3]
    wide = dataclasses.replace(prediction, **like, members=members, expected_entropy=None)
    ensemble = eh.default_ensemble()
    eh.select_artifact_free(ensemble, wide, three)
    assert set(seen) == {2}


# ------------------------------------------------------------------------- the loop
@pytest.fixture
def two():
    """Two members that ship, and settings to train them on for a moment."""
    ensemble = eh.default_ensemble().subset([0, 1])
    return ensemble, dataclasses.replace(ensemble.settings, members=2, member_steps=2)


def elit(frames, two, **options):
    ensemble, settings = two
    options = {"data": ensemble, "simulated": "realistic", "rounds": 2, "rng": 3} | options
    return eh.run_elit(frames, pixel_size=PX, settings=settings, **options)


def digest(ensemble):
    return [{name: value.tobytes() for name, value in weights.items()} for weights in ensemble.weights]


def test_a_run_that_was_stopped_goes_on_to_the_same_weights(frames, two, tmp_path):
    whole = elit(frames, two, rounds=1)

    def stop(losses):
        if losses["stage"].iloc[0] == "E_final":
            raise KeyboardInterrupt

    said = r"stopped by an interrupt after its stages E_initial, E_0, E_1\. .*/run; the same call goes on"
    with pytest.raises(eh.Stopped, match=said) as interrupt:
        elit(frames, two, rounds=1, checkpoint=tmp_path / "run", on_progress=stop)
    part = interrupt.value.result
    assert list(part.ensembles) == part.history["stage"].tolist() == ["E_initial", "E_0", "E_1"]
    assert (part.last, part.stopped) == ("E_1", str(interrupt.value))
    assert {"E_initial", "E_0", "E_1"} <= {path.name for path in (tmp_path / "run").iterdir()}
    resumed = elit(frames, two, rounds=1, checkpoint=tmp_path / "run")
    assert list(resumed.ensembles) == list(whole.ensembles)
    assert digest(resumed.final) == digest(whole.final)
    pd.testing.assert_frame_equal(
        resumed.history.drop(columns="seconds"), whole.history.drop(columns="seconds"), check_exact=True
    )
    again = elit(frames, two, rounds=1, checkpoint=tmp_path / "run")  # all of it is loaded
    assert digest(again.final) == digest(whole.final)
    pd.testing.assert_frame_equal(again.atoms, whole.atoms, check_exact=True)
    assert again.member_scores.equals(whole.member_scores)


def test_a_checkpoint_of_another_run_and_a_spoilt_one_are_refused_by_name(frames, two, tmp_path):
    elit(frames, two, rounds=0, checkpoint=tmp_path)
    with pytest.raises(ValueError, match="holds a run with other rounds, seed"):
        elit(frames, two, rounds=1, rng=4, checkpoint=tmp_path)
    warmer = dataclasses.replace(two[0], temperature=2.0)
    with pytest.raises(ValueError, match="holds a run with other data: "):
        elit(frames, (warmer, two[1]), rounds=0, checkpoint=tmp_path)
    atoms = tmp_path / "E_0" / "atoms.npz"
    atoms.write_bytes(atoms.read_bytes()[:-100])
    with pytest.raises(eh.CorruptEnsemble, match="E_0.atoms.npz is missing or does not match"):
        elit(frames, two, rounds=0, checkpoint=tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(eh.CorruptEnsemble, match="run.json cannot be read"):
        elit(frames, two, rounds=0, checkpoint=tmp_path)


def test_a_round_that_changes_nothing_is_the_last(frames, two, monkeypatch):
    monkeypatch.setattr(elit_rounds, "train_ensemble", lambda *_, start, **__: start)
    result = elit(frames, two, rounds=5)
    assert [name for name in result.ensembles if name != "E_final"] == ["E_initial", "E_0", "E_1"]
    assert "E_1 changed 0.00% of the atoms, less than 0.5%" in result.stopped


def test_a_round_that_makes_the_lattice_worse_is_not_built_upon(frames, two, monkeypatch):
    scores = iter([0.9, 0.9, 0.8, 0.9])
    summary = select.lattice_summary
    monkeypatch.setattr(elit_rounds, "train_ensemble", lambda *_, start, **__: start)
    monkeypatch.setattr(
        elit_rounds, "lattice_summary", lambda *a: summary(*a) | {"lattice_score": next(scores)}
    )
    result = elit(frames, two, rounds=5)
    assert "E_1 lowered the lattice score from 0.900 to 0.800; E_0 is built upon" in result.stopped
    assert digest(result.final) == digest(result.ensembles["E_0"])


def test_elements_are_learned_on_top_of_what_is_known_of_atoms(frames):
    net = eh.train_ensemble(
        *eh.training_set("ideal", 16, rng=0),
        classes=("C",),
        settings=eh.TrainSettings(members=1, steps=20),
        rng=0,
    )
    rng = np.random.default_rng(1)
    both = with_elements(net, ("C", "Si"), rng)
    one, two = (eh.predict(e, frames[:1], pixel_size=PX).mean[..., -1] for e in (net, both))
    assert both.classes == ("C", "Si")
    assert np.corrcoef(one.ravel(), two.ravel())[0, 1] > 0.95
    assert with_elements(both, ("C", "Si"), rng) is both


def test_fewer_invented_atoms_raise_the_lattice_score_and_overlooked_ones_lower_it(prediction, sheet):
    def score(row_col):
        table = table_of(row_col)
        return select.lattice_summary(table, prediction)["lattice_score"]

    invented = np.random.default_rng(0).uniform(10, 190, (60, 2))
    assert score(sheet) > score(np.concatenate([sheet, invented])) + 0.02
    assert score(sheet) > score(np.delete(sheet, np.arange(0, len(sheet), 4), 0)) + 0.02


def test_members_kept_by_hand_go_on(frames, two):
    result = elit(frames, two, rounds=0, keep=[1])
    assert len(result.ensembles["E_0"]) == 1
    assert result.member_scores["kept"].tolist() == [False, True]


def test_frames_too_small_for_a_patch_are_refused_before_anything_is_trained(frames, two):
    with pytest.raises(ValueError, match="at least 64 are needed"):
        elit(frames[:, :60], two)


@pytest.mark.parametrize("rounds", [-1, 1.5, True])
def test_rounds_are_counted_in_whole_numbers(frames, two, rounds):
    with pytest.raises(ValueError, match="`rounds` is .* whole number"):
        elit(frames, two, rounds=rounds)


@pytest.mark.slow
def test_the_loop_leaves_a_row_and_an_ensemble_a_stage(frames):
    settings = eh.TrainSettings(members=2, steps=150, member_steps=20)
    result = eh.run_elit(
        frames,
        pixel_size=PX,
        data=eh.training_set("realistic", 200, rng=0),
        settings=settings,
        rounds=1,
        rng=3,
        score=lambda atoms: {"mine": len(atoms)},
    )
    assert result.history["stage"].tolist() == ["E_initial", "E_0", "E_1", "E_final"]
    assert result.final.classes == ("C", "Si")
    assert (result.history["mine"] > 0).all()
    assert {"C", "Si"} >= set(result.atoms["element"])
