"""Whatever others made torch's defaults, nets are the same, and the defaults stay as they made them."""

import contextlib

import numpy as np
import pytest
from tiny_ensembles import ONE, TINY, same

import elit_helpers as eh
from elit_helpers.ensemble import predict as predicting

torch = pytest.importorskip("torch")
PAIRS = eh.training_set("ideal", 6, rng=0, classes=ONE, size=32)
FRAME = np.random.default_rng(0).normal(size=(40, 48)).astype(np.float32)


@contextlib.contextmanager
def changed(getter, setter, value):
    before = getter()
    setter(value)
    try:
        yield
        assert getter() == value
    finally:
        setter(before)


def conv_precision(value):
    torch.backends.mkldnn.conv.fp32_precision = value


DEFAULTS = {
    "float64": lambda: changed(torch.get_default_dtype, torch.set_default_dtype, torch.float64),
    "bfloat16": lambda: changed(torch.get_default_dtype, torch.set_default_dtype, torch.bfloat16),
    "device": lambda: changed(torch.get_default_device, torch.set_default_device, torch.device("meta")),
    "device for a while": lambda: torch.device("meta"),
    "no gradients": lambda: changed(torch.is_grad_enabled, torch.set_grad_enabled, False),
    "inference": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "deterministic": lambda: changed(
        torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms, True
    ),
    "products": lambda: changed(
        torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "medium"
    ),
    "convolutions": lambda: changed(
        lambda: torch.backends.mkldnn.conv.fp32_precision, conv_precision, "bf16"
    ),
    "numpy": lambda: np.errstate(all="raise"),
}


def train():
    return eh.train_ensemble(*PAIRS, classes=ONE, settings=TINY, rng=1)


@pytest.fixture(scope="module")
def usual():
    ensemble = train()
    return ensemble, eh.predict(ensemble, FRAME, pixel_size=0.15).mean


@pytest.mark.parametrize("name", DEFAULTS)
def test_training_and_prediction_are_the_same(name, usual):
    if name == "convolutions" and not hasattr(torch.backends.mkldnn, "conv"):
        pytest.skip("this torch has no such setting")
    with DEFAULTS[name]():
        trained = train()
        said = eh.predict(usual[0], FRAME, pixel_size=0.15).mean
        adapted = eh.train_ensemble(*PAIRS, classes=ONE, settings=TINY, rng=2, start=usual[0])
    assert all(same(a, b) for a, b in zip(trained.weights, usual[0].weights, strict=True))
    assert all(value.dtype != np.float64 for value in trained.weights[0].values())
    assert np.array_equal(said, usual[1])
    assert len(adapted) == len(trained)


@pytest.mark.parametrize("name", ["float64", "device", "no gradients"])
def test_between_two_batches_of_a_stream_they_are_the_callers_again(name, usual):
    with DEFAULTS[name]():
        before = torch.get_default_dtype(), torch.get_default_device(), torch.is_grad_enabled()
        for _ in eh.predict_stream(usual[0], np.stack([FRAME] * 2), pixel_size=0.15, batch=1):
            assert (torch.get_default_dtype(), torch.get_default_device(), torch.is_grad_enabled()) == before


def test_chances_next_to_nothing_are_no_error_of_numpy():
    frame = eh.load_movie("development").frames[0][:96, :96]
    with np.errstate(all="raise"):
        said = eh.predict(eh.default_ensemble().subset([0]), frame, pixel_size=0.0958)
    assert said.members.dtype == np.float16


def test_an_error_brings_them_back_too(usual):
    with DEFAULTS["float64"](), pytest.raises(ValueError, match="workers"):
        eh.train_ensemble(*PAIRS, classes=ONE, settings=TINY, rng=1, workers=0)


@pytest.mark.parametrize(("free", "workers"), [(1e12, 64), (1.2e9, 11), (1e6, 1)])
def test_there_are_no_more_tiles_at_once_than_there_is_memory_for(monkeypatch, free, workers):
    monkeypatch.setattr(predicting, "threads", lambda: 64)
    monkeypatch.setattr(predicting, "memory_limit", lambda: (free, "a test"))
    made = []

    class Pool(predicting.ThreadPoolExecutor):
        def __init__(self, number, *rest, **options):
            made.append(number)
            super().__init__(min(number, 2), *rest, **options)

    monkeypatch.setattr(predicting, "ThreadPoolExecutor", Pool)
    eh.predict(eh.default_ensemble().subset([0]), FRAME, pixel_size=0.15)
    assert made == [workers]
