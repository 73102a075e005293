# ruff: noqa: NPY002 (the old global generator is what is being watched)
"""Ensembles: what AtomAI does to the world around it stays inside, and every member is its own."""

import dataclasses
import json
import os
import random
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from tiny_ensembles import ONE, TINY, TWO, same

import elit_helpers as eh
from elit_helpers.ensemble import jobs, networks
from elit_helpers.ensemble.networks import UNSURE
from elit_helpers.ensemble.storage import CorruptEnsemble


def same_ensemble(a, b):
    return len(a) == len(b) and all(same(x, y) for x, y in zip(a.weights, b.weights, strict=True))


# ------------------------------------------------------------------------- nothing leaks
def test_the_global_random_state_is_left_alone(pairs, frame):
    import torch

    np.random.seed(7), torch.manual_seed(7), random.seed(7)
    expected = np.random.random(3).tolist(), torch.rand(3).tolist(), random.random()
    np.random.seed(7), torch.manual_seed(7), random.seed(7)
    ensemble = eh.train_ensemble(*pairs, classes=TWO, settings=TINY, rng=1)
    eh.predict(ensemble, frame, pixel_size=0.15)
    assert (np.random.random(3).tolist(), torch.rand(3).tolist(), random.random()) == expected


def test_threads_cudnn_and_warning_filters_come_back(tiny, frame):
    import torch

    flags = torch.backends.cudnn
    before = torch.get_num_threads(), flags.deterministic, flags.benchmark, list(warnings.filters)
    eh.predict(tiny, frame, pixel_size=0.15)
    assert (torch.get_num_threads(), flags.deterministic, flags.benchmark, list(warnings.filters)) == before


def test_everything_comes_back_when_training_fails(monkeypatch, pairs):
    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(networks.Job, "prepare", fail)
    np.random.seed(5)
    expected = np.random.random()
    np.random.seed(5)
    with pytest.raises(KeyboardInterrupt):
        eh.train_ensemble(*pairs, classes=TWO, settings=TINY, rng=1)
    assert np.random.random() == expected


def test_nothing_is_printed_and_no_file_is_left(pairs, frame, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    ensemble = eh.train_ensemble(*pairs, classes=TWO, settings=TINY, rng=1)
    eh.predict(ensemble, frame, pixel_size=0.15)
    assert capsys.readouterr().out == ""
    assert os.listdir(tmp_path) == []


# ------------------------------------------------------------------------- training
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(pairs, tiny):
    again = eh.train_ensemble(*pairs, classes=TWO, settings=TINY, rng=3)
    other = eh.train_ensemble(*pairs, classes=TWO, settings=TINY, rng=4)
    assert all(same(a, b) for a, b in zip(tiny.weights, again.weights, strict=True))
    assert not same(tiny.weights[0], other.weights[0])


@pytest.mark.parametrize("strategy", ["scratch", "baseline"])
def test_members_differ_even_after_one_step(pairs, strategy):
    settings = dataclasses.replace(TINY, members=3, member_steps=1, steps=1, strategy=strategy)
    ensemble = eh.train_ensemble(*pairs, classes=TWO, settings=settings, rng=0)
    assert not any(same(ensemble.weights[i], ensemble.weights[j]) for i, j in [(0, 1), (0, 2), (1, 2)])
    assert len(set(ensemble.card["member_seeds"])) == 3


def test_a_member_does_not_depend_on_how_many_others_there_are(pairs, tiny):
    alone = eh.train_ensemble(*pairs, classes=TWO, settings=dataclasses.replace(TINY, members=1), rng=3)
    assert len(alone) == 1  # a trainer of AtomAI would still hold the members of the run before
    assert same(alone.weights[0], tiny.weights[0])


@pytest.mark.parametrize("strategy", ["scratch", "baseline"])
def test_weights_do_not_depend_on_processors_or_workers(pairs, strategy, monkeypatch):
    import torch

    settings, before = dataclasses.replace(TINY, members=3, strategy=strategy), torch.get_num_threads()
    alone = eh.train_ensemble(*pairs, classes=TWO, settings=settings, rng=3, workers=1)
    monkeypatch.setenv("ELIT_THREADS", "3")
    torch.set_num_threads(2)
    try:
        beside = eh.train_ensemble(*pairs, classes=TWO, settings=settings, rng=3)
    finally:
        torch.set_num_threads(before)
    assert same_ensemble(alone, beside)
    assert alone.history.equals(beside.history)
    assert [alone.card[name] for name in ("threads", "device", "deterministic")] == [1, "cpu", True]


def test_members_are_trained_side_by_side(pairs, monkeypatch):
    together, draw = threading.Barrier(2, timeout=60), networks.Job.batches

    def meeting(job, seed, *, bootstrap):
        batch = draw(job, seed, bootstrap=bootstrap)
        return lambda: together.wait() >= 0 and batch()

    monkeypatch.setattr(networks.Job, "batches", meeting)
    eh.train_ensemble(*pairs, classes=TWO, settings=TINY, rng=3, workers=2)


@pytest.mark.parametrize(("free", "workers"), [(3.9e9, 1), (4.1e9, 2)])
def test_one_member_at_a_time_where_memory_is_short(monkeypatch, free, workers):
    monkeypatch.setenv("ELIT_THREADS", "2")
    monkeypatch.setattr(jobs, "memory_limit", lambda: (free, "a test"))
    assert jobs.how_many(None, 5) == workers
    assert jobs.how_many(None, 1) == 1


@pytest.mark.parametrize("workers", [0, 1.5, True])
def test_an_impossible_number_of_workers_is_refused(pairs, workers):
    with pytest.raises(ValueError, match="`workers` is .* processors"):
        eh.train_ensemble(*pairs, classes=TWO, settings=TINY, workers=workers)


def test_progress_tells_the_losses_so_far_from_the_calling_thread(pairs, monkeypatch, capsys):
    told, where = [], set()

    def tell(history):
        told.append(history)
        where.add(threading.current_thread())
        sys.stdout.write("seen\n")

    monkeypatch.setattr(jobs, "_LOOK_S", 0.0)
    ensemble = eh.train_ensemble(*pairs, classes=TWO, settings=TINY, rng=3, on_progress=tell)
    assert where == {threading.current_thread()}
    assert told[-1].equals(ensemble.history)
    assert [*told[0]] == ["member", "step", "loss"]
    assert [len(h) for h in told] == sorted(len(h) for h in told)
    assert capsys.readouterr().out == "seen\n" * len(told)


def test_progress_is_told_twice_a_second_at_most():
    told = []
    watch = jobs.Watch(bar=type("Bar", (), {"update": lambda *_: None})(), on_progress=told.append)
    for i in range(50):
        watch.losses[0] = [0.5] * (i + 1)
        watch.look()
    watch.look(last=True)
    assert [len(h) for h in told] == [1, 50]


def test_a_short_run_uses_data_from_everywhere(pairs):
    images, labels = pairs
    job = networks.Job(images, labels, 2, TINY, Path())
    draw = job.batches(1, bootstrap=False)
    seen = {float(image.sum().round(decimals=2)) for _ in range(4) for image in draw()[0]}
    assert len(seen) == len(images)


def test_training_goes_on_from_earlier_weights(pairs, tiny):
    quiet = dataclasses.replace(TINY, learning_rate=1e-9, weight_decay=0.0)
    onward = eh.train_ensemble(*pairs, classes=TWO, settings=quiet, rng=9, start=tiny)
    for before, after in zip(tiny.weights, onward.weights, strict=True):
        assert np.allclose(before["c1.block.0.weight"], after["c1.block.0.weight"], atol=1e-6)
    assert onward.card["continued"]


def test_a_new_class_keeps_the_body_and_changes_the_last_layer(pairs, tiny):
    images, labels = pairs
    one = eh.train_ensemble(images, np.where(labels == 2, 1, 0), classes=ONE, settings=TINY, rng=1)
    quiet = dataclasses.replace(TINY, learning_rate=1e-9, weight_decay=0.0)
    two = eh.train_ensemble(images, labels, classes=TWO, settings=quiet, rng=1, start=one)
    assert np.allclose(one.weights[1]["c3.block.0.weight"], two.weights[1]["c3.block.0.weight"], atol=1e-6)
    assert [e.weights[0]["px.weight"].shape[0] for e in (one, two)] == [1, 3]


@pytest.mark.parametrize("change", [{"filters": 4}, {"layers": (1, 1, 1, 1)}])
def test_going_on_with_nets_of_another_shape_is_refused(pairs, tiny, change):
    settings = dataclasses.replace(TINY, **change)
    with pytest.raises(ValueError, match=rf"`start` has {next(iter(change))} .*dataclasses\.replace"):
        eh.train_ensemble(*pairs, classes=TWO, settings=settings, start=tiny)


def test_the_cheaper_order_of_convolution_and_doubling_gives_the_same_numbers():
    import torch

    with networks.contained():
        from atomai.nets import init_fcnn_model

        torch.manual_seed(1)
        net = init_fcnn_model("Unet", 3, nb_filters=4)[0].eval()
        x = torch.randn(1, 1, 40, 48)
        with torch.no_grad():
            as_made, ours = net(x), networks._lean(net)(x)
    assert torch.allclose(as_made, ours, atol=1e-5)
    assert not torch.equal(as_made, torch.zeros_like(as_made))


def test_unsure_pixels_teach_nothing(pairs):
    images, labels = pairs
    masked = labels.copy()
    masked[:, :, 32:] = UNSURE
    noisy = images.copy()
    import torch

    logits = torch.randn(4, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    target = torch.from_numpy(masked[:4])
    changed = logits.clone()
    changed[..., 40:] += 5
    assert networks._binary_loss(logits, target) == networks._binary_loss(changed, target)
    eh.train_ensemble(noisy, masked, classes=TWO, settings=TINY, rng=1)


def test_losses_are_returned_for_every_step(tiny):
    assert tiny.history.groupby("member").size().to_dict() == {0: 4, 1: 4}
    assert np.isfinite(tiny.history["loss"]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x[:, :60], y[:, :60]), "multiples of 8"),
        (lambda x, y: (x, y[:3]), "must be"),
        (lambda x, y: (x, np.where(y == 1, 0, y)), "no pixel of Si"),
        (lambda x, y: (x, y + 5), "allowed are 0 to 2"),
        (lambda x, y: (x * np.nan, y), "NaN"),
    ],
)
def test_pairs_that_cannot_be_learned_from_are_refused(pairs, change, message):
    with pytest.raises(ValueError, match=message):
        eh.train_ensemble(*change(*pairs), classes=TWO, settings=TINY)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"members": 0}, "`members` is 0"),
        ({"steps": 1.5}, "`steps`"),
        ({"strategy": "luck"}, "scratch"),
        ({"layers": (1, 2)}, "`layers` is .* four whole numbers"),
        ({"layers": (1, 2, 0, 3)}, "`layers`"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        eh.TrainSettings(**settings)


def test_an_unknown_preset_is_refused_with_the_list(pairs):
    with pytest.raises(ValueError, match="'demo', 'class', 'paper'"):
        eh.train_ensemble(*pairs, classes=TWO, settings="huge")


# ------------------------------------------------------------------------- files
def test_what_was_saved_is_loaded(tiny, frame, tmp_path):
    eh.save_ensemble(tiny, tmp_path / "e")
    loaded = eh.load_ensemble(tmp_path / "e")
    assert (loaded.classes, loaded.settings, loaded.card) == (tiny.classes, tiny.settings, tiny.card)
    assert np.array_equal(
        eh.predict(loaded, frame, pixel_size=0.15).mean, eh.predict(tiny, frame, pixel_size=0.15).mean
    )
    assert {p.suffix for p in (tmp_path / "e").iterdir()} == {".safetensors", ".json", ".csv"}


def test_the_card_is_readable_and_tells_what_made_the_ensemble(tiny, tmp_path):
    scored = tiny.card | {"scores": {"movie, scoring half": {"f1": 0.5}}}
    warm = dataclasses.replace(tiny, temperature=1.5, card=scored)
    text = (eh.save_ensemble(warm, tmp_path / "e") / "card.json").read_text()
    card = json.loads(text)
    assert card["temperature"] == 1.5
    assert card["settings"] == {**dataclasses.asdict(TINY), "layers": [1, 2, 2, 3]}
    assert set(card["card"]) >= {
        "member_seeds", "baseline_seed", "data_sha256", "threads", "device", "versions", "scores",
    }  # fmt: skip
    assert '"layers": [1, 2, 2, 3]' in text
    assert max(map(len, text.splitlines())) < 120
    assert eh.load_ensemble(tmp_path / "e").temperature == 1.5


def test_a_card_from_before_layers_and_temperature_still_loads(tiny, tmp_path):
    card = eh.save_ensemble(tiny, tmp_path / "e") / "card.json"
    old = json.loads(card.read_text())
    del old["temperature"], old["settings"]["layers"]
    card.write_text(json.dumps(old))
    loaded = eh.load_ensemble(tmp_path / "e")
    assert (loaded.temperature, loaded.settings.layers) == (1.0, (1, 2, 2, 3))


@pytest.mark.parametrize("how", ["changed", "cut", "missing"])
def test_a_corrupt_member_is_refused_by_name(tiny, tmp_path, how):
    eh.save_ensemble(tiny, tmp_path / "e")
    member = tmp_path / "e" / "member_01.safetensors"
    content = bytearray(member.read_bytes())
    if how == "changed":
        content[-1] ^= 1
    member.write_bytes(content[: 100 if how == "cut" else None])
    if how == "missing":
        member.unlink()
    with pytest.raises(CorruptEnsemble, match="member_01.safetensors"):
        eh.load_ensemble(tmp_path / "e")


def test_a_card_that_is_no_card_is_refused_by_name(tiny, tmp_path):
    eh.save_ensemble(tiny, tmp_path / "e")
    (tmp_path / "e" / "card.json").write_text("{}")
    with pytest.raises(CorruptEnsemble, match="card.json"):
        eh.load_ensemble(tmp_path / "e")


def test_a_member_cannot_lie_outside_its_folder(tiny, tmp_path):
    eh.save_ensemble(tiny, tmp_path / "e")
    card = tmp_path / "e" / "card.json"
    card.write_text(card.read_text().replace("member_00.safetensors", "../member_00.safetensors"))
    with pytest.raises(CorruptEnsemble, match="card.json"):
        eh.load_ensemble(tmp_path / "e")


def test_a_folder_without_an_ensemble_says_what_to_pass(tmp_path):
    with pytest.raises(FileNotFoundError, match="save_ensemble"):
        eh.load_ensemble(tmp_path)


def test_another_material_is_refused_with_the_list():
    assert "graphene" in eh.shipped_materials()
    with pytest.raises(ValueError, match="'cheese'; choose one of .*'graphene'"):
        eh.default_ensemble("cheese")


def test_a_subset_keeps_seeds_and_weights_together(tiny):
    second = tiny.subset([1])
    assert same(second.weights[0], tiny.weights[1])
    assert second.card["member_seeds"] == tiny.card["member_seeds"][1:]
    with pytest.raises(ValueError, match="0 to 1"):
        tiny.subset([2])


def test_the_ensemble_that_ships_is_small_and_whole():
    home = Path(eh.__file__).parent / "ensemble" / "shipped" / "graphene"
    assert sum(p.stat().st_size for p in home.iterdir()) < 4e6
    ensemble = eh.default_ensemble()
    assert ensemble.classes == TWO
    assert "no real image" in ensemble.card["trained_on"]
