"""Torch as it is where nobody changed a default: other libraries in the process set some, MACE float64."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from elit_helpers.core.checks import require


@contextlib.contextmanager
def torch_defaults() -> Iterator[None]:
    """Make nets in float32 on the processor, with gradients and in full precision; all comes back in the end.

    Of the thread are the default device, the mode of gradients and autocasting; those that it starts have
    their own. The default dtype, what is asked of determinism and the precision of products are everybody's.
    """
    torch = require("torch", "Training or applying an ensemble")
    with contextlib.ExitStack() as stack:
        for value, set_to, wanted in _of_the_process(torch):
            stack.callback(set_to, value)
            set_to(wanted)
        for mode in (torch.inference_mode(False), torch.enable_grad(), torch.device("cpu")):
            stack.enter_context(mode)
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        with np.errstate(under="ignore"):  # chances that are next to nothing, in the members' float16
            yield


def _of_the_process(torch: Any) -> Iterator[tuple[Any, Callable[[Any], None], Any]]:
    """Give each default of the process, how it is set, and what it shall be."""
    yield torch.get_default_dtype(), torch.set_default_dtype, torch.float32
    if torch.are_deterministic_algorithms_enabled():  # setting it, even to what it is, loads torch's compiler
        warned = torch.is_deterministic_algorithms_warn_only_enabled()

        def strict(warn_only: bool) -> None:
            torch.use_deterministic_algorithms(True, warn_only=warn_only)

        # On a GPU some step of a U-Net has no deterministic form, and would be an error.
        yield warned, strict, True
    if not hasattr(torch.backends.mkldnn, "conv"):  # before torch 2.9
        yield torch.get_float32_matmul_precision(), torch.set_float32_matmul_precision, "highest"
        return
    for part in (torch.backends.mkldnn.conv, torch.backends.mkldnn.matmul):
        yield part.fp32_precision, lambda value, part=part: setattr(part, "fp32_precision", value), "ieee"
