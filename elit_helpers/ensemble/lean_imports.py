"""AtomAI and torch's optimiser without what they load besides and nobody here asks for: 100 MB and seconds.

Stand-ins are there while AtomAI is imported. Whoever asks for the real modules later gets them whole.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
import types
from typing import Any

from elit_helpers.core.checks import require

_REASON = "Training or applying an ensemble"
_COMPILER = ("torch._dynamo", "torch._dynamo.utils")


@functools.cache
def import_atomai() -> None:
    """Import AtomAI once, without two things that its import brings along.

    The mendeleev that it pins makes a table of all elements, from a database that it opens and forgets;
    AtomAI asks it for single elements, and only where a graph of atoms is drawn. Torchvision loads torch's
    compiler for one question. Both are handed on when somebody asks.
    """
    stand_ins = {} if _COMPILER[0] in sys.modules else {name: _Later(name) for name in _COMPILER}
    if "mendeleev" not in sys.modules:
        stand_ins["mendeleev"] = types.ModuleType("mendeleev")
        stand_ins["mendeleev"].element = _element
    sys.modules.update(stand_ins)
    try:
        require("atomai.trainers", _REASON)
    finally:
        for name, module in stand_ins.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


def _element(*ids: Any) -> Any:
    """What mendeleev knows of an element."""
    return importlib.import_module("mendeleev").element(*ids)


class _Later(types.ModuleType):
    """Stands for a part of torch's compiler until it is asked for anything but torchvision's question."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # Python's own, which whoever looks through all modules asks for
            raise AttributeError(name)
        if self.__name__ == _COMPILER[1] and name == "is_compile_supported":
            return lambda device: self._real().is_compile_supported(device)
        return getattr(self._real(), name)

    def _real(self) -> types.ModuleType:
        for name in _COMPILER:
            if isinstance(sys.modules.get(name), _Later):
                del sys.modules[name]
        return importlib.import_module(self.__name__)


@functools.cache
def adamw() -> type:
    """Return torch's AdamW, whose steps tell no compiler to leave them alone: they would load it for that."""
    torch = require("torch", _REASON)
    inner = {
        name: inspect.unwrap(getattr(torch.optim.AdamW, name))
        for name in ("step", "zero_grad", "add_param_group")
    }
    inner["step"] = torch.no_grad()(inner["step"])
    return type("AdamW", (torch.optim.AdamW,), inner)
