"""The conda environments agree with pyproject.toml, and the scripts around them are sound."""

import stat
import subprocess
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from places import ROOT
from rattler import MatchSpec

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
FILES = ("environment.yml", "binder/environment.yml")
CONDA_NAMES = {"torch": {"pytorch", "pytorch-cpu"}, "matplotlib": {"matplotlib-base"}}
ONLY_CONDA = {"python", "pip", "make", "dftbplus"}


def read(name):
    """Return the conda and the pip lines of an environment file."""
    lines = yaml.safe_load((ROOT / name).read_text())["dependencies"]
    pip = next(line["pip"] for line in lines if isinstance(line, dict))
    return [line for line in lines if isinstance(line, str)], pip


def wanted():
    """Return what the notebooks need: the dependencies and JupyterLab."""
    return [Requirement(line) for line in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["lab"]]


def given(name):
    """Return the version bounds of an environment file by package name, conda's names and pip's."""
    conda, pip = read(name)
    specs = [MatchSpec(line, strict=True) for line in conda]
    bounds = {spec.name.normalized: str(spec.version or "") for spec in specs}
    required = [Requirement(line) for line in pip if not line.startswith("-")]
    return bounds | {line.name: str(line.specifier) for line in required}


@pytest.mark.parametrize("name", FILES)
def test_every_conda_line_is_a_valid_spec(name):
    for line in read(name)[0]:
        assert MatchSpec(line, strict=True).name


@pytest.mark.parametrize("name", FILES)
def test_every_dependency_is_there_with_the_same_bounds(name):
    bounds = given(name)
    for requirement in wanted():
        names = CONDA_NAMES.get(requirement.name, {requirement.name})
        found = names & set(bounds)
        assert found, f"{name} lacks {requirement.name}"
        assert SpecifierSet(bounds[found.pop()]) == requirement.specifier, requirement.name


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_there_that_the_project_does_not_ask_for(name):
    known = set(ONLY_CONDA)
    for requirement in wanted():
        known |= CONDA_NAMES.get(requirement.name, {requirement.name})
    assert set(given(name)) <= known


@pytest.mark.parametrize("name", FILES)
def test_extras_of_pip_are_the_same(name):
    extras = {r.name: r.extras for r in map(Requirement, (x for x in read(name)[1] if x[0] != "-"))}
    for requirement in wanted():
        if requirement.name in extras:
            assert extras[requirement.name] == requirement.extras


@pytest.mark.parametrize("name", FILES)
def test_python_is_pinned_to_one_that_the_project_knows(name):
    python = given(name)["python"].strip("=*.")
    assert SpecifierSet(PROJECT["requires-python"]).contains(python)


def test_torch_and_torchvision_come_from_one_channel():
    for name in FILES:
        conda, _ = read(name)
        assert any(line.startswith("pytorch") for line in conda)
        assert any(line.startswith("torchvision") for line in conda)


def test_upper_bounds_and_pins_have_a_reason():
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    bounded = [line for line in lines if line.strip().startswith('"') and ("==" in line or "<" in line)]
    assert bounded
    without = [line for line in bounded if "#" not in line and "ignore" not in line]
    assert not without


@pytest.mark.parametrize("script", [".ci/run", "binder/postBuild", "binder/start"])
def test_scripts_can_be_run_and_parse(script):
    path = ROOT / script
    assert path.stat().st_mode & stat.S_IXUSR
    subprocess.run(["bash", "-n", str(path)], check=True)


def test_a_fault_in_the_build_on_binder_ends_it():
    assert "set -e" in (ROOT / "binder/postBuild").read_text()


def test_binder_hands_over_to_the_server_it_was_asked_for():
    assert (ROOT / "binder/start").read_text().rstrip().endswith('exec "$@"')
