"""The warnings at load."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from types import ModuleType

import pytest

from durable_core.host.code_check import warn_of_orchestrators

BAD = "import time\n@bp.orchestration_trigger('context')\ndef main(context):\n    time.sleep(1)\n"


def test_each_finding_in_imported_modules_of_the_app_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / ".venv").mkdir()
    for name in ("one.py", "two.py", "not_imported.py", ".venv/library.py"):
        (tmp_path / name).write_text(BAD)
    for name in ("one.py", "two.py", ".venv/library.py"):
        module = ModuleType(name)
        module.__file__ = str(tmp_path / name)
        monkeypatch.setitem(sys.modules, f"under_test_{name}", module)
        monkeypatch.setitem(sys.modules, f"under_test_again_{name}", module)
    with caplog.at_level(logging.WARNING, "durable_core.check"):
        assert warn_of_orchestrators(tmp_path) == 2
    lines = caplog.messages
    assert [line.split(" ")[0] for line in lines] == ["one.py:4:5:", "two.py:4:5:", "2"]
    assert all("\n" not in line for line in lines)


def test_an_app_without_findings_logs_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert warn_of_orchestrators(tmp_path) == 0
    assert caplog.messages == []
