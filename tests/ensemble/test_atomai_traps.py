# ruff: noqa: NPY002 (the old global generator is what is being watched)
"""Faults of AtomAI 0.8.1 that the wrapper closes, one test each: no learner meets them.

Where a fault can be shown on AtomAI itself in no time, the test shows it, so that it fails on the day when
AtomAI mends it and the way around can go.
"""

import dataclasses
import importlib.metadata
import os
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from packaging.requirements import Requirement
from tiny_ensembles import ONE, TINY, TWO, same

import elit_helpers as eh
from elit_helpers.ensemble import networks
from elit_helpers.ensemble.networks import UNSURE
from elit_helpers.ensemble.storage import CorruptEnsemble
from elit_helpers.images import masks
from elit_helpers.images.masks import NET_PIXEL


def train(pairs, settings=TINY, classes=TWO, **more):
    return eh.train_ensemble(*pairs, classes=classes, settings=settings, rng=more.pop("rng", 3), **more)


def discs(row_col, shape=(64, 72)):
    """A prediction that is as sure of these atoms as can be."""
    return of(masks.discs(np.array(row_col, float), np.zeros(len(row_col), int), 1, shape, 2.8) == 0)


def of(*maps):
    each = np.stack([np.stack([m, 1.0 - m], -1) for m in maps])[:, None]
    return eh.Prediction(
        each.mean(0).astype(np.float32), each.std(0).astype(np.float32), each.astype(np.float16),
        ONE, NET_PIXEL, (1.0, 1.0), maps[0].shape, NET_PIXEL,
    )  # fmt: skip


# ------------------------------------------------------------------------- install and import
def test_what_atomai_imports_without_asking_for_it_is_asked_for_by_us():
    asked = {Requirement(r).name for r in importlib.metadata.requires("elit-helpers") or ()}
    assert {"six", "torch", "torchvision"} <= asked
    assert "six" not in {Requirement(r).name for r in importlib.metadata.requires("atomai")}


def test_seconds_of_import_are_not_spent_before_a_net_is_wanted():
    code = "import sys, elit_helpers as eh; eh.predict, eh.train_ensemble, eh.load_ensemble\n"
    code += "sys.exit(any(m in sys.modules for m in ('torch', 'atomai')))"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


def test_no_database_is_left_open_that_would_be_warned_of_later():
    code = "import gc; from elit_helpers.ensemble import networks as n; gc.disable()\n"
    code += "with n.contained(): pass\ngc.collect()"
    command = [sys.executable, "-W", "always::ResourceWarning", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (done.returncode, "unclosed database" in done.stderr) == (0, False), done.stderr


def test_making_a_trainer_seeds_the_global_generators_and_ours_come_back(pairs):
    import torch

    def draw():
        return np.random.random(), torch.rand(1).item()

    with networks.contained():
        from atomai.trainers import EnsembleTrainer

        np.random.seed(1), torch.manual_seed(1)
        seeded = draw()
        np.random.seed(5), torch.manual_seed(5)
        EnsembleTrainer("Unet", nb_classes=1, nb_filters=2)
        assert np.random.random() == seeded[0]  # what it does
    np.random.seed(5), torch.manual_seed(5)
    expected = draw()
    np.random.seed(5), torch.manual_seed(5)
    train(pairs)
    assert draw() == expected


class _Touch:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_pickle_in_an_ensembles_folder_is_never_run(tiny, tmp_path):
    eh.save_ensemble(tiny, tmp_path / "e")
    member = tmp_path / "e" / "member_00.safetensors"
    old = eh.load_ensemble(tmp_path / "e").card  # the folder is whole before
    assert old["member_seeds"] == tiny.card["member_seeds"]
    member.write_bytes(pickle.dumps(_Touch(tmp_path / "ran")))
    with pytest.raises(CorruptEnsemble, match=r"member_00\.safetensors"):
        eh.load_ensemble(tmp_path / "e")
    card = tmp_path / "e" / "card.json"  # also with a hash that fits
    from elit_helpers.core.files import sha256

    text = card.read_text()
    was = text.split('"member_00.safetensors": "')[1][:64]
    card.write_text(text.replace(was, sha256(member)))
    with pytest.raises(CorruptEnsemble, match="not a safetensors file"):
        eh.load_ensemble(tmp_path / "e")
    assert not (tmp_path / "ran").exists()


# ------------------------------------------------------------------------- training
def test_a_run_as_long_as_the_data_sees_all_of_them(pairs, tmp_path):
    job = networks.Job(*pairs, 2, TINY, tmp_path)
    draw, n = job.batches(7, bootstrap=False), len(pairs[0])
    seen = np.concatenate([draw()[0].numpy()[:, 0] for _ in range(n // TINY.batch)])
    assert len({round(float(image.sum()), 2) for image in seen}) == n


def test_batches_are_not_the_same_chunks_in_every_pass(pairs, tmp_path):
    draw = networks.Job(*pairs, 2, TINY, tmp_path).batches(7, bootstrap=False)
    each = range(len(pairs[0]) // TINY.batch)
    passes = [
        [frozenset(round(float(i.sum()), 2) for i in draw()[0].numpy()) for _ in each] for _ in range(2)
    ]
    assert set(passes[0]) != set(passes[1])


def test_members_that_branch_off_for_one_step_differ_already(pairs):
    settings = dataclasses.replace(TINY, strategy="baseline", steps=2, member_steps=1)
    ensemble = train(pairs, settings)
    assert not same(*ensemble.weights)


def test_each_member_has_a_sample_an_order_and_turns_of_its_own(pairs, tmp_path):
    job = networks.Job(*pairs, 2, dataclasses.replace(TINY, batch=len(pairs[0])), tmp_path)
    first, second = (job.batches(seed, bootstrap=True)()[0].numpy()[:, 0] for seed in (1, 2))
    assert {round(float(i.sum()), 2) for i in first} != {round(float(i.sum()), 2) for i in second}


def test_patches_are_shown_in_all_eight_ways_a_square_can_lie(tmp_path):
    image = np.arange(64, dtype=np.float32).reshape(1, 8, 8)
    job = networks.Job(image, image.astype(np.int8), 2, dataclasses.replace(TINY, batch=1), tmp_path)
    draw = job.batches(3, bootstrap=False)
    shown = [draw() for _ in range(200)]
    ways = {np.rot90(m, k).tobytes() for m in (image[0], image[0, :, ::-1]) for k in range(4)}
    assert {x.numpy()[0, 0].tobytes() for x, _ in shown} == ways
    assert all((x.numpy()[:, 0] == y.numpy()).all() for x, y in shown)  # the mask turns with its picture


def test_members_of_an_earlier_run_are_forgotten(pairs):
    three = train(pairs, dataclasses.replace(TINY, members=3))
    assert (len(three), len(train(pairs, dataclasses.replace(TINY, members=1)))) == (3, 1)


def test_one_strategy_can_follow_the_other(pairs):
    for strategy in ("scratch", "baseline", "scratch"):
        assert len(train(pairs, dataclasses.replace(TINY, strategy=strategy))) == 2


def test_a_batch_may_be_larger_than_the_data(pairs):
    few = pairs[0][:6], pairs[1][:6]
    assert np.isfinite(train(few, dataclasses.replace(TINY, batch=16)).history["loss"]).all()


def test_runs_too_short_for_weight_averaging_train_all_the_same(pairs):
    assert len(train(pairs, dataclasses.replace(TINY, steps=1)).history) == 2


def test_pixels_may_be_left_out_and_a_class_may_be_absent_from_a_patch(pairs):
    images, labels = pairs[0], pairs[1].copy()
    labels[:, :20] = UNSURE
    labels[:6][labels[:6] == 1] = 2
    ensemble = train((images, labels))
    assert np.isfinite(ensemble.history["loss"]).all()


def test_one_class_is_zero_and_the_background_one_as_everywhere_here(pairs):
    images, labels = pairs
    ensemble = train((images, np.where(labels == 2, 1, 0)), classes=ONE)
    assert ensemble.weights[0]["px.weight"].shape[0] == 1
    with pytest.raises(ValueError, match="no pixel of background"):
        train((images, np.zeros_like(labels)), classes=ONE)


def test_nothing_is_written_printed_or_drawn(pairs, tmp_path, monkeypatch, capsys):
    import matplotlib.pyplot as plt

    monkeypatch.chdir(tmp_path)
    for strategy in ("scratch", "baseline"):
        train(pairs, dataclasses.replace(TINY, strategy=strategy))
    said = capsys.readouterr()
    assert (os.listdir(tmp_path), said.out, plt.get_fignums()) == ([], "", [])


def test_the_net_that_predicts_doubles_rows_as_the_one_that_learned(pairs, tiny, tmp_path):
    with networks.contained():
        from atomai.nets import init_fcnn_model

        job = networks.Job(*pairs, 2, TINY, tmp_path)
        learned = job.prepare(0, 1, None, lambda loss: None).net
        applied = networks.make_net(tiny.weights[0], n_classes=2, settings=TINY)
        swallowed = init_fcnn_model("Unet", 1, nb_filters=2, upsampling_mode="nearest")[0]
    modes = {block.mode for net in (learned, applied) for block in net.children() if hasattr(block, "mode")}
    assert modes == {"bilinear"}
    assert swallowed.upsample_block1.mode == "bilinear"  # what it does with the wrong keyword


def test_the_same_call_twice_gives_the_same_members(pairs, tiny):
    again = train(pairs)
    assert all(same(a, b) for a, b in zip(tiny.weights, again.weights, strict=True))


# ------------------------------------------------------------------------- prediction
def test_each_members_own_maps_are_there_and_make_mean_and_spread(tiny, frame):
    prediction = eh.predict(tiny, frame, pixel_size=0.15)
    each = prediction.members.astype(float)
    assert len(each) == 2
    assert np.allclose(each.mean(0), prediction.mean, atol=2e-3)
    assert np.allclose(each.std(0, ddof=0), prediction.std, atol=2e-3)


@pytest.mark.parametrize("progress", [False, True])
def test_it_can_be_quiet_or_not(tiny, frame, progress, capsys):
    eh.predict(tiny, frame, pixel_size=0.15, progress=progress)
    assert capsys.readouterr().out == ""


def test_a_stack_of_another_size_can_follow(tiny, frame):
    for part in (frame, frame[:33]):
        assert eh.predict(tiny, part, pixel_size=0.15).mean.shape[1:3] == part.shape


@pytest.mark.parametrize("shape", [(41, 47), (40, 49), (16, 17)])
def test_sides_need_not_be_multiples_of_eight_and_come_back_as_they_were(tiny, frame, shape):
    part = frame[: shape[0], : shape[1]]
    prediction = eh.predict(tiny, part, pixel_size=0.15)
    assert prediction.mean.shape[1:3] == prediction.expected_entropy.shape[1:] == shape


def test_a_frame_is_normalised_by_itself_not_by_its_stack(tiny, frame):
    stack = np.stack([frame, 1e4 * frame[::-1]])
    alone = eh.predict(tiny, frame, pixel_size=0.15).mean[0]
    assert np.array_equal(eh.predict(tiny, stack, pixel_size=0.15).mean[0], alone)


def test_few_frames_are_not_put_through_the_net_all_at_once(tiny, frame, monkeypatch):
    sizes, ask = [], networks.probabilities
    monkeypatch.setattr(
        networks, "probabilities", lambda n, tile, t: sizes.append(tile.shape) or ask(n, tile, t)
    )
    eh.predict(tiny, np.stack([frame[:45, :52]] * 5), pixel_size=0.15)
    assert set(sizes) == {(48, 56)}
    assert len(sizes) == 5 * len(tiny)


def test_applying_a_net_does_not_change_its_batch_statistics(tiny, frame):
    with networks.contained():
        net = networks.make_net(tiny.weights[0], n_classes=2, settings=TINY)
        assert not net.training
        networks.probabilities(net, frame[:40, :48], 1.0)
        after = {name: value.numpy() for name, value in net.state_dict().items()}
    assert same(tiny.weights[0], after)


# ------------------------------------------------------------------------- atoms
@pytest.mark.parametrize("members", [1, 2, 9])
def test_atoms_are_found_with_fewer_than_ten_members_the_first_one_too(members):
    true = np.array([[12.0, 14.0], [12.0, 40.0], [40.0, 22.0]])
    one = discs(true).mean[0, ..., 0]
    found = eh.locate_atoms(of(*[one] * members))
    assert len(found) == 3
    assert np.abs(found[["row_px", "col_px"]].to_numpy()[0] - true[0]).max() < 0.3


def test_atoms_up_to_the_border_are_listed():
    true = np.array([[3.0, 30.0], [30.0, 3.0], [60.0, 30.0], [30.0, 68.0], [30.0, 30.0]])
    found = eh.locate_atoms(discs(true))
    assert len(found) == 5
    assert found["kept"].all()


def test_atoms_that_touch_stay_two():
    apart = 1.1 / NET_PIXEL  # discs of 0.42 Å with noise between them: closer than any bond of carbon
    found = eh.locate_atoms(discs([[30.0, 30.0], [30.0, 30.0 + apart]]))
    assert len(found) == 2


def test_a_table_of_atoms_is_a_table_with_names():
    found = eh.locate_atoms(discs([[30.0, 30.0]]))
    assert isinstance(found, pd.DataFrame)
    assert {"frame", "row_px", "col_px", "x_A", "y_A", "element", "kept", "reason"} <= set(found)


# ------------------------------------------------------------------------- masks, structures
def test_masks_are_drawn_to_a_fraction_of_a_pixel_and_at_the_border_too():
    rng = np.random.default_rng(0)
    true = np.stack([rng.uniform(0, 59, 400), rng.uniform(0, 59, 400)], 1)
    off = []
    for point in true:
        mask = masks.discs(point[None], np.zeros(1, int), 1, (60, 60), 2.8) == 0
        assert mask.any()
        if ((point > 4) & (point < 55)).all():
            off.append(np.argwhere(mask).mean(0) - point)
    assert np.abs(np.mean(off, axis=0)).max() < 0.02
    assert np.std(off, axis=0).max() < 0.12  # at whole pixels it would be 0.29


def test_simulating_a_picture_leaves_the_positions_alone():
    positions = np.array([[2.0, 3.0], [4.5, 3.5], [7.0, 7.0]])
    before = positions.copy()
    eh.element_mask(positions, ["C", "C", "Si"], classes=TWO, pixel_size=0.15, shape=(64, 64))
    assert np.array_equal(positions, before)


def test_a_structure_has_x_along_the_columns_and_every_element_and_no_copies(capsys):
    table = pd.DataFrame({
        "frame": 0, "row_px": [10.0, 10.0, 20.0], "col_px": [10.0, 20.0, 10.0],
        "x_A": [1.5, 3.0, 1.5], "y_A": [6.0, 6.0, 4.5], "element": ["C", "Si", "N"],
        "probability": 0.9, "position_std_A": 0.01, "member_share": 1.0, "kept": True, "reason": "",
    })  # fmt: skip
    atoms = eh.to_atoms(table)
    assert sorted(atoms.get_chemical_symbols()) == ["C", "N", "Si"]
    at = dict(zip(atoms.get_chemical_symbols(), atoms.positions, strict=True))
    assert (at["Si"] - at["C"])[:2] == pytest.approx([1.5, 0.0])
    assert (at["N"] - at["C"])[:2] == pytest.approx([0.0, -1.5])
    assert not atoms.pbc.any()
    assert capsys.readouterr().out == ""
