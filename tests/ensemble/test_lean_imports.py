"""What AtomAI's import and torch's optimiser leave out is there for whoever asks, and changes no weight."""

import subprocess
import sys

import pytest

TRAINED = """
import sys, dataclasses, warnings
warnings.simplefilter("ignore")
import elit_helpers as eh
settings = eh.TrainSettings(members=1, steps=1, member_steps=1, batch=2, filters=2)
pairs = eh.training_set("ideal", 4, rng=0, classes=("C",), size=32)
eh.predict(eh.train_ensemble(*pairs, classes=("C",), settings=settings), pairs[0], pixel_size=eh.NET_PIXEL)
"""
LATER = {
    "no compiler is loaded": "assert not {'torch._dynamo', 'torch._inductor', 'sympy'} & set(sys.modules)",
    "mendeleev": "from mendeleev import Si, element; assert Si.atomic_number == element('Si').atomic_number",
    "AtomAI's question": "from atomai.utils.graphx import element; assert element('Si').mass > 28",
    "the compiler": "import torch._dynamo.utils; assert torch._dynamo.utils.counters is not None",
    "torchvision's question": """
from torchvision.ops.roi_align import is_compile_supported
from torch._dynamo.utils import is_compile_supported as real
assert real is not is_compile_supported and real("cpu") == is_compile_supported("cpu")
""",
    "another optimiser": """
import torch
weight = torch.nn.Parameter(torch.ones(1)); weight.grad = torch.ones(1)
torch.optim.SGD([weight], lr=0.5).step(); assert weight.item() == 0.5
""",
}


@pytest.mark.parametrize("later", LATER.values(), ids=LATER)
def test_after_a_training(later):
    subprocess.run([sys.executable, "-W", "ignore", "-c", TRAINED + later], timeout=300, check=True)


@pytest.mark.parametrize("loaded", ["torch._dynamo", "mendeleev", "atomai"])
def test_what_is_loaded_before_stays_as_it_is(loaded):
    before = f"import sys, warnings\nwarnings.simplefilter('ignore')\nimport {loaded}\n"
    after = f"assert sys.modules['{loaded}'] is before"
    code = f"{before}before = sys.modules['{loaded}']\n{TRAINED}\n{after}"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], timeout=300, check=True)


def test_the_lean_optimiser_steps_as_torchs_own():
    torch = pytest.importorskip("torch")
    from elit_helpers.ensemble.lean_imports import adamw

    def three_steps(kind):
        generator = torch.Generator().manual_seed(0)
        weight = torch.nn.Parameter(torch.randn(5, generator=generator))
        optimiser = kind([weight], lr=0.1, weight_decay=0.01)
        for _ in range(3):
            optimiser.zero_grad()
            (weight**2).sum().backward()
            optimiser.step()
        return weight

    assert torch.equal(three_steps(adamw()), three_steps(torch.optim.AdamW))


def test_another_version_may_ask_more_of_the_compiler_at_its_import():
    """Whatever a stand-in cannot answer is answered by the real module, which then takes its place."""
    code = """
import sys, torch
from elit_helpers.ensemble import lean_imports
sys.modules.update({name: lean_imports._Later(name) for name in lean_imports._COMPILER})
from torch._dynamo.utils import is_compile_supported, counters
import torch._dynamo.utils as real
assert not isinstance(real, lean_imports._Later) and real.counters is counters
assert is_compile_supported("cpu") == real.is_compile_supported("cpu")
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], timeout=300, check=True)
