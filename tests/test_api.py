"""What users can call: every public name with its parameters, as written down in `api.txt`.

Where a function lives and how its parameters are annotated is not written down; both may change. After a
change that is meant, ``python tests/test_api.py`` writes the file anew.
"""

import inspect
from dataclasses import fields, is_dataclass
from functools import cached_property
from pathlib import Path

import elit_helpers as eh

FILE = Path(__file__).with_name("api.txt")
MODULES = ("exercises", "plots", "widgets")
EVERY = (object, BaseException, Exception)
PLAIN = (int, float, str, bool, type(None))
# Names that the three modules hold without an `__all__`, but only to work with.
FOR_THEMSELVES = {"check_choice", "check_frames", "check_pixel_size", "current_axis", "finish_picture"}
FOR_THEMSELVES |= {"in_space", "require"}


def ours(value):
    """Return whether a class or function comes from the package, from whichever file."""
    return getattr(value, "__module__", "").split(".")[0] == "elit_helpers"


def public_names(module):
    """Return what a module lists in `__all__`, else its own functions, classes and CONSTANTS."""
    if hasattr(module, "__all__"):
        return sorted(module.__all__)
    found = [n for n, value in vars(module).items() if n.isupper() or (callable(value) and ours(value))]
    return sorted(n for n in found if not n.startswith("_") and n not in FOR_THEMSELVES)


def shown(default):
    """Return a default as in code, or dots where its text could differ from one Python to the next."""
    if type(default) is tuple and all(type(item) in PLAIN for item in default):
        return repr(default)
    return repr(default) if type(default) in PLAIN else "..."


def parameters(function, *, skip=0):
    """Return ``(data, *, pixel_size, title='')``: names, kinds and defaults, nothing else."""
    kept = []
    for p in list(inspect.signature(function).parameters.values())[skip:]:
        default = p.default if p.default is p.empty else _Written(shown(p.default))
        kept.append(p.replace(annotation=p.empty, default=default))
    return str(inspect.Signature(kept))


class _Written(str):
    """A text that stands in a signature as it is, without quotes."""

    __repr__ = str.__str__


def class_lines(name, cls):
    """Yield the class with what it is made of, then what its objects have; nothing from foreign bases."""
    family = [base for base in cls.__mro__ if ours(base)]
    made_here = any("__init__" in vars(base) or "__new__" in vars(base) for base in family)
    kind = "exception" if issubclass(cls, BaseException) else "class"
    bases = [b.__name__ for b in cls.__mro__[1:] if b not in EVERY and not b.__name__.startswith("_")]
    yield f"{kind} {name}{parameters(cls) if made_here else ''}{' < ' * bool(bases)}{', '.join(bases)}"
    members = {n: value for base in reversed(family) for n, value in vars(base).items()}
    of_data = {field.name for field in fields(cls)} if is_dataclass(cls) else set(getattr(cls, "_fields", ()))
    for member in sorted(n for n in {*members, *of_data} if not n.startswith("_")):
        value = members.get(member)
        if member in of_data:
            yield f"field {name}.{member}"
        elif isinstance(value, (property, cached_property)):
            yield f"property {name}.{member}"
        elif isinstance(value, (classmethod, staticmethod)):
            yield f"method {name}.{member}{parameters(getattr(cls, member))}"
        elif callable(value):
            yield f"method {name}.{member}{parameters(value, skip=1)}"
        else:
            yield f"attribute {name}.{member}"


def lines_of(name, value):
    """Yield the lines of one public name."""
    if inspect.isclass(value):
        yield from class_lines(name, value)
    elif inspect.ismodule(value):
        yield f"module {name}"
    elif callable(value):
        yield f"function {name}{parameters(value)}"
    elif hasattr(value, "keys") or isinstance(value, (tuple, frozenset, set)):
        yield f"constant {name}: {type(value).__name__} of {', '.join(sorted(map(str, value)))}"
    else:
        yield f"constant {name}: {type(value).__name__}"


def api():
    """Return the public names of the package and its three modules, one a line."""
    lines = [f"{len(eh.__all__) - len(MODULES)} names and {len(MODULES)} modules in eh"]
    for door, module in {"eh": eh, **{f"eh.{name}": getattr(eh, name) for name in MODULES}}.items():
        for name in public_names(module):
            lines += lines_of(f"{door}.{name}", getattr(module, name))
    return "".join(f"{line}\n" for line in lines)


def test_every_public_name_takes_what_is_written_down():
    before, now = FILE.read_text(encoding="utf-8").splitlines(), api().splitlines()
    gone = [f"- {line}" for line in before if line not in now]
    # What a class of old newly says of itself is nothing that a user's code could miss.
    new = [f"+ {line}" for line in now if line not in before and not line.startswith(("property", "method"))]
    assert not gone + new, "\n".join(
        ["the public names are no longer those of api.txt (- gone, + new):", *gone, *new]
        + ["If users are meant to see this, run `python tests/test_api.py` and say it in CHANGELOG.md."]
    )


def test_the_modules_of_the_door_are_written_down_too():
    assert set(MODULES) == {name for name in eh.__all__ if inspect.ismodule(getattr(eh, name))}


if __name__ == "__main__":
    FILE.write_text(api(), encoding="utf-8")
