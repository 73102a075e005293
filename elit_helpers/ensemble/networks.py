"""AtomAI and torch, contained.

AtomAI seeds the global generators whenever a trainer is made, prints, names files relative to the working
directory, trains on fixed chunks of the data, and pads images without cropping them back. Everything that
knows of this is here; who trains when is in `jobs`, how a frame is cut into tiles in `tiles`.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import io
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from elit_helpers.core.checks import logger, require
from elit_helpers.core.interrupts import Hold
from elit_helpers.ensemble.lean_imports import adamw, import_atomai
from elit_helpers.ensemble.torch_defaults import torch_defaults

UNSURE = -1
"""Label of a pixel from which nothing shall be learned; the loss leaves it out."""
POOL = 8
"""The U-Net halves an image three times, so its sides must be multiples of this."""
THREADS = 1
"""Of torch for each net: sums in another order would give other weights on another number of processors."""

_REASON = "Training or applying an ensemble"
Weights = dict[str, np.ndarray]


class _ToLog(io.TextIOBase):
    """A stream that turns printed lines into debug messages."""

    def write(self, text: str) -> int:
        if text.strip():
            logger.debug("atomai: %s", text.strip())
        return len(text)


@contextlib.contextmanager
def contained() -> Iterator[Path]:
    """Let AtomAI run without a trace: all global state comes back in the end.

    Random generators, cuDNN flags, threads, warning filters and torch's defaults are restored; within, these
    are what they are where nobody set others. The path given is a folder for
    whatever it wants to write; it goes away with the context.
    """
    torch = require("torch", _REASON)
    _keep_large_blocks_apart()
    gc.collect()  # figures of a notebook are rings of references, and wait for this
    _return_freed_memory()  # what the caller has just let go makes room for what comes
    cudnn, numpy_state, torch_state = torch.backends.cudnn, np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    cuda_state = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    flags, threads = (cudnn.deterministic, cudnn.benchmark), torch.get_num_threads()
    with (
        Hold() as interrupts,
        tempfile.TemporaryDirectory(prefix="elit-") as folder,
        warnings.catch_warnings(),
        torch_defaults(),
    ):
        try:
            warnings.simplefilter("ignore")  # its own code warns; nothing a learner could change
            torch.set_num_threads(THREADS)
            with interrupts.let_through():
                with contextlib.redirect_stdout(_ToLog()):
                    import_atomai()
                yield Path(folder)
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002
            torch.set_rng_state(torch_state)
            if cuda_state:
                torch.cuda.set_rng_state_all(cuda_state)
            cudnn.deterministic, cudnn.benchmark = flags
            torch.set_num_threads(threads)
            _return_freed_memory()


@functools.cache
def _keep_large_blocks_apart() -> None:
    """Have glibc map blocks from 8 MB up on their own, so that the maps of many frames leave no holes.

    Left alone it raises this limit with every large block freed, to 32 MB. Below 8 MB are the activations
    of a training step, which are faster from the heap. One heap for all threads: each of its own would
    keep what it once had.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-3, 8 << 20)  # M_MMAP_THRESHOLD
        libc.mallopt(-8, 1)  # M_ARENA_MAX


def _return_freed_memory() -> None:
    """Ask glibc to hand back what torch has freed: it keeps some 100 MB, a tenth of what Binder gives."""
    with contextlib.suppress(OSError, AttributeError):  # another C library, as on macOS, has no such call
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def use_one_thread() -> None:
    """Give this Python thread `THREADS` threads of torch."""
    require("torch", _REASON).set_num_threads(THREADS)


def device() -> str:
    """Return where nets live: ``"cuda"`` if there is one, else ``"cpu"``."""
    return "cuda" if require("torch", _REASON).cuda.is_available() else "cpu"


def versions() -> dict[str, str]:
    """Return the versions on which weights depend to the last bit."""
    import importlib.metadata

    return {name: importlib.metadata.version(name) for name in ("torch", "atomai", "numpy")}


# --------------------------------------------------------------------------- training
@functools.cache
def _trainer_class() -> type:
    """Return AtomAI's EnsembleTrainer with our batches, and without its files, prints and test batches."""
    trainers = require("atomai.trainers", _REASON)

    class Trainer(trainers.EnsembleTrainer):
        next_batch: Callable[[], tuple[Any, Any]]
        on_step: Callable[[float], None]

        def preprocess_train_data(self, *arrays: Any) -> tuple:
            return arrays  # checked at our door already; its check refuses pixels labelled UNSURE

        def set_data(self, *arrays: Any, **_: Any) -> None:
            # Its own batches are fixed chunks of which short runs use only the first.
            self.X_train, self.y_train, self.X_test, self.y_test = ([array] for array in arrays)
            self.data_is_set = True

        def fit(self) -> None:
            """Not yet: `trained` is called later, beside others, when nothing global is touched."""

        def step(self, e: int) -> None:
            loss = self.train_step(*self.next_batch())[0]
            self.loss_acc["train_loss"].append(loss)
            self.on_step(loss)

        def print_statistics(self, e: int, **_: Any) -> None:
            """Losses are returned, not printed."""

        def eval_model(self) -> None:
            """The members are judged by what they find, later."""

        def save_model(self, *_: str) -> None:
            """Files are written by `save_ensemble`, where the caller wants them."""

        def save_ensemble_metadict(self, filename: str | None = None) -> None:
            """As `save_model`."""

        def trained(self) -> Weights:
            """Train, and return the weights."""
            net = self.run()
            return {name: value.detach().cpu().numpy().copy() for name, value in net.state_dict().items()}

    return Trainer


@dataclass(frozen=True)
class Job:
    """What all members of a training have in common.

    Attributes
    ----------
    images, labels
        Float32 (n, H, W) and integers of the same shape, checked.
    n_classes
        Elements; the background comes on top.
    settings
        A `TrainSettings`.
    folder
        Where AtomAI may write.
    """

    images: np.ndarray
    labels: np.ndarray
    n_classes: int
    settings: Any
    folder: Path

    def prepare(
        self, member: int, seed: int, origin: Weights | None, on_step: Callable[[float], None]
    ) -> Any:
        """Return a trainer for one net, from random weights or on from `origin`; `trained()` does the work.

        It is one of its own, because AtomAI's never forgets earlier members. Only this touches global state:
        it must run where `contained` was entered, and not beside another.
        """
        s = self.settings
        steps, peak = (s.steps, s.learning_rate) if origin is None else (s.member_steps, s.learning_rate / 2)
        with contextlib.redirect_stdout(_ToLog()):
            trainer = self._trainer()
            trainer.compile_ensemble_trainer(
                optimizer=functools.partial(adamw(), weight_decay=s.weight_decay, fused=True),
                lr_scheduler=one_cycle(steps, peak),
                training_cycles=steps,
                batch_size=s.batch,
                plot_training_history=False,
                filename=str(self.folder / "model"),
            )
            # a new last layer comes from the seed, too
            trainer.train_baseline(self.images, self.labels, self.images[:1], self.labels[:1], seed=seed)
        if origin is not None:
            trainer.net.load_state_dict(_fit(origin, trainer.net.state_dict()))
        trainer.next_batch = self.batches(seed, bootstrap=member >= 0)
        trainer.on_step = on_step
        return trainer

    def _trainer(self) -> Any:
        torch = require("torch", _REASON)
        outputs, s = _outputs(self.n_classes), self.settings
        trainer = _trainer_class()("Unet", nb_classes=outputs, nb_filters=s.filters, layers=list(s.layers))
        trainer.device = device()  # it would take an Apple GPU, which has no bit-for-bit promise
        # a quarter faster in this layout
        trainer.net = _lean(trainer.net).to(trainer.device, memory_format=torch.channels_last)
        trainer.criterion = _binary_loss if outputs == 1 else torch.nn.CrossEntropyLoss(ignore_index=UNSURE)
        return trainer

    def batches(self, seed: int, *, bootstrap: bool) -> Callable[[], tuple[Any, Any]]:
        """Return a source of mini-batches: shuffled passes over a sample, each batch turned or mirrored."""
        torch = require("torch", _REASON)
        rng, n = np.random.default_rng(seed), len(self.images)
        sample = rng.integers(0, n, n) if bootstrap else np.arange(n)
        square, queue = self.images.shape[1] == self.images.shape[2], []

        def draw() -> tuple[Any, Any]:
            while len(queue) < self.settings.batch:
                queue.extend(rng.permutation(sample).tolist())
            index = queue[: self.settings.batch]
            del queue[: self.settings.batch]
            mirror, turns = int(rng.choice([-1, 1])), int(rng.integers(0, 4)) if square else 0
            pair = (self.images[index], self.labels[index].astype(np.int64))
            x, y = (np.ascontiguousarray(np.rot90(a[:, :, ::mirror], turns, (1, 2))) for a in pair)
            features = torch.from_numpy(x)[:, None].contiguous(memory_format=torch.channels_last)
            return features, torch.from_numpy(y)

        return draw


def one_cycle(steps: int, peak: float) -> list[float]:
    """Return a learning rate for each step: up over the first fifth, down to nearly nothing by a cosine."""
    at = (np.arange(steps) + 0.5) / steps
    up = 0.04 + 0.96 * 0.5 * (1 - np.cos(np.pi * np.clip(at / 0.2, 0, 1)))
    down = 1e-3 + (1 - 1e-3) * 0.5 * (1 + np.cos(np.pi * np.clip((at - 0.2) / 0.8, 0, 1)))
    return (peak * np.where(at < 0.2, up, down)).tolist()


def _outputs(n_classes: int) -> int:
    """Outputs of the net: AtomAI takes one class as a single logit, more as one each and the background."""
    return 1 if n_classes == 1 else n_classes + 1


def _lean(net: Any) -> Any:
    """Have a U-Net take its 1×1 convolutions before it doubles the rows and columns, and cut in place.

    Both orders give the same numbers but for rounding, since the four weights of a bilinear value add up to
    one; this one convolves a quarter of the pixels. What a leaky ReLU cuts nobody else looks at: done where
    it lies, a step keeps a third less.
    """
    for layer in net.modules():
        if hasattr(layer, "negative_slope"):
            layer.inplace = True
    for name in ("upsample_block1", "upsample_block2", "upsample_block3"):
        setattr(net, name, _narrow_block()(getattr(net, name)))
    return net


@functools.cache
def _narrow_block() -> type:
    torch = require("torch", _REASON)

    class Narrow(torch.nn.Module):
        def __init__(self, block: Any) -> None:
            super().__init__()
            self.conv, self.scale_factor, self.mode = block.conv, block.scale_factor, block.mode

        def forward(self, x: Any) -> Any:
            narrow = self.conv(x)
            return torch.nn.functional.interpolate(narrow, scale_factor=self.scale_factor, mode=self.mode)

    return Narrow


def _binary_loss(logits: Any, target: Any) -> Any:
    functional = require("torch.nn.functional", _REASON)
    sure = (target != UNSURE).float()
    wanted = (target == 0).float()  # channel 0 is the atom, 1 the background
    loss = functional.binary_cross_entropy_with_logits(logits[:, 0], wanted, reduction="none")
    return (loss * sure).sum() / sure.sum().clamp(min=1)


def _fit(origin: Weights, fresh: dict) -> dict:
    """Return `origin` as tensors, with fresh values where the number of classes changed a shape."""
    torch = require("torch", _REASON)
    return {
        name: torch.from_numpy(np.array(origin[name])) if origin[name].shape == tuple(value.shape) else value
        for name, value in fresh.items()
    }


# --------------------------------------------------------------------------- prediction
def fresh_net(*, n_classes: int, settings: Any) -> Any:
    """Return AtomAI's network as AtomAI makes it, with random weights."""
    nets = require("atomai.nets", _REASON)
    return nets.init_fcnn_model(
        "Unet", _outputs(n_classes), nb_filters=settings.filters, layers=list(settings.layers)
    )[0]


def make_net(weights: Weights, *, n_classes: int, settings: Any) -> Any:
    """Return the network of one member, ready to predict."""
    torch, net = require("torch", _REASON), fresh_net(n_classes=n_classes, settings=settings)
    net.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in weights.items()})
    # In training mode even a probe with noise would change its batch statistics.
    return _lean(net).to(device(), memory_format=torch.channels_last).eval()


def probabilities(net: Any, tile: np.ndarray, temperature: float) -> np.ndarray:
    """Return probabilities (H, W, K + 1) of one normalised tile (H, W), sides multiples of `POOL`."""
    torch = require("torch", _REASON)
    with torch.inference_mode():
        x = torch.from_numpy(np.ascontiguousarray(tile, np.float32))[None, None]
        where = next(net.parameters()).device
        logits = net(x.to(where).contiguous(memory_format=torch.channels_last)) / temperature
        if logits.shape[1] > 1:
            chance = torch.softmax(logits, 1)
        else:
            atom = torch.sigmoid(logits)
            chance = torch.cat([atom, 1 - atom], 1)
        return chance[0].permute(1, 2, 0).cpu().numpy()
