"""AtomAI and torch's optimiser without what they load besides and nobody here asks for: 100 MB and seconds.

Stand-ins are there while AtomAI is imported. Whoever asks for the real modules later gets them whole.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
import types

from elit_helpers.core.checks import require

_REASON = "Training or applying an ensemble"


@functools.cache
def import_atomai() -> None:
    """Import AtomAI once, without two things that its import brings along.

    The mendeleev that it pins makes a table of all elements, from a database that it opens and forgets;
    AtomAI asks for single elements only, which go on working. Torchvision loads torch's compiler for one
    question, which is handed on when somebody asks it.
    """
    if "mendeleev" in sys.modules or "atomai" in sys.modules:
        require("atomai.trainers", _REASON)
        return
    stand_ins = {"mendeleev.elements": types.ModuleType("mendeleev.elements")}
    if "torch._dynamo" not in sys.modules:
        stand_ins |= _compiler()
    sys.modules.update(stand_ins)
    try:
        require("atomai.trainers", _REASON)
    finally:
        for name, module in (stand_ins | {"mendeleev": sys.modules.get("mendeleev")}).items():
            if sys.modules.get(name) is module:
                sys.modules.pop(name, None)


def _compiler() -> dict[str, types.ModuleType]:
    names = ("torch._dynamo", "torch._dynamo.utils")
    package, utils = modules = [types.ModuleType(name) for name in names]

    def is_compile_supported(device: str) -> bool:
        return importlib.import_module(names[1]).is_compile_supported(device)

    package.utils, utils.is_compile_supported = utils, is_compile_supported
    return dict(zip(names, modules, strict=True))


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
