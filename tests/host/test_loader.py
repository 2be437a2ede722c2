"""What is said of an app that cannot be imported."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from durable_core.errors import ConfigurationError
from durable_core.host.loader import load_app
from tests.host.app_folder import write_app


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    before = Path.cwd()
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "function_app", raising=False)
    yield tmp_path
    os.chdir(before)
    sys.modules.pop("function_app", None)


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("def (:", ["function_app.py could not be imported:", '  File "{file}", line 7']),
        (
            "import not_there_at_all",
            ["function_app.py could not be imported:", '  File "{file}", line 7, in <module>'],
        ),
        (
            "def broken():\n    raise RuntimeError('no')\nbroken()",
            ["function_app.py could not be imported:", '  File "{file}", line 9, in <module>', "    broken()"],
        ),
    ],
    ids=["syntax", "module", "error"],
)
def test_only_the_apps_own_frames_are_shown(folder: Path, source: str, lines: list[str]) -> None:
    write_app(folder, "\n" + source)
    with pytest.raises(ConfigurationError) as raised:
        load_app(folder)
    told = str(raised.value)
    expected = [line.format(file=folder / "function_app.py") for line in lines]
    assert told.splitlines()[: len(expected)] == expected
    assert "importlib" not in told


def test_a_missing_module_is_told_with_what_to_look_at(folder: Path) -> None:
    write_app(folder, "import not_there_at_all")
    with pytest.raises(ConfigurationError, match=r"Is 'not_there_at_all' listed in requirements\.txt"):
        load_app(folder)
