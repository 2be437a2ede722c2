"""Every public name of azure-functions-durable 1.7.0 against the facade: where it is, what it is, how it is called
(python-api 1.1, 1.2, 2.2, 3.1, 4.1, 6, 7, 8 and 13.1, T14).

``sdk_surface.json`` is the description of the original; ``surface_differences.py`` names what is left out and why.
"""

from __future__ import annotations

import enum
import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from durable_core.alias.finder import install
from tests.alias import surface_differences as left_out
from tests.alias.surface import ROOT, accepts_all_of, kind_of, signature_text

install()

SDK = json.loads((Path(__file__).parent / "sdk_surface.json").read_text("utf-8"))
CLASSES: dict[str, dict[str, str]] = SDK["classes"]


def modules() -> Iterator[tuple[str, dict[str, str]]]:
    for full_name, names in SDK["modules"].items():
        if full_name.removeprefix(f"{ROOT}.") not in left_out.MODULES:
            yield full_name, names


def class_of(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def differs(owner: type, member: str, described: str) -> bool:
    """A member of a class is missing, or another kind of thing, or cannot be called as the original's."""
    if not hasattr(owner, member):
        return True
    ours = kind_of(owner, member)
    word, _, theirs = described.partition(" ")
    if word == "property" or not ours.startswith(word):
        return not ours.startswith(word)
    return not accepts_all_of(ours.partition(" ")[2], theirs)


def differences_of_class(path: str, members: dict[str, str]) -> set[str]:
    owner = class_of(path)
    if issubclass(owner, enum.Enum):
        return set() if {member.name: repr(member.value) for member in owner} == members else {owner.__name__}
    bases = {base.__name__ for base in owner.__mro__}
    found = set()
    for member, described in members.items():
        if member == "bases":
            if not set(described.split()) <= bases:
                found.add(f"{owner.__name__}.bases")
        elif differs(owner, member, described):
            found.add(f"{owner.__name__}.{member}")
    return found


@pytest.mark.parametrize(("full_name", "names"), [pytest.param(*found, id=found[0]) for found in modules()])
def test_every_module_shows_every_name_of_the_original(full_name: str, names: dict[str, str]) -> None:
    ours = importlib.import_module(full_name)
    for name, described in names.items():
        if name in left_out.FUNCTIONS:
            continue
        if name == "__all__":
            assert set(described.split()) <= set(ours.__all__)
            continue
        value = getattr(ours, name)
        if described.startswith("class "):
            assert value is class_of(described.removeprefix("class "))
        elif described.startswith("def "):
            assert accepts_all_of(signature_text(value), described.removeprefix("def "))
        else:
            assert repr(value) == described


def test_every_class_has_every_member_of_the_original_and_takes_its_arguments() -> None:
    found: set[str] = set()
    for path, members in CLASSES.items():
        if path.rpartition(".")[2] not in left_out.REFUSED_CLASSES:
            found |= differences_of_class(path, members)
    assert found == set(left_out.MEMBERS)


@pytest.mark.parametrize("module", [*left_out.MODULES, "openai_agents"])
def test_modules_that_are_left_out_say_so(module: str) -> None:
    with pytest.raises(ModuleNotFoundError, match="makes no sense under durable_core"):
        importlib.import_module(f"{ROOT}.{module}")


def test_how_signatures_are_compared() -> None:
    assert accepts_all_of("a, b=1, *, c=2", "a, b=1")
    assert accepts_all_of("a=None", "a")
    assert not accepts_all_of("a", "a=None"), "an argument that was optional is needed"
    assert not accepts_all_of("b, a", "a, b")
    assert not accepts_all_of("a, b=2", "a, b=1")
    assert not accepts_all_of("a, b", "a")
    assert not accepts_all_of("a", "a, **more")
