"""``durable check``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from durable_core.cli.check import check

app = typer.Typer()
app.command()(check)

BAD = """import azure.durable_functions as df
import time, not_installed_anywhere
bp = df.Blueprint()
@bp.orchestration_trigger(context_name="context")
def main(context):
    time.sleep(1)
    print("x")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "function_app.py").write_text(BAD)
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / "one.py").write_text(BAD)
    for left_out in (".venv", "other", "__pycache__"):
        (tmp_path / left_out).mkdir()
        (tmp_path / left_out / "two.py").write_text(BAD)
    (tmp_path / "other" / "pyvenv.cfg").touch()
    return tmp_path


def test_findings_are_one_line_each_and_exit_code_1(folder: Path) -> None:
    result = CliRunner().invoke(app, [str(folder)])
    assert result.exit_code == 1
    assert [line.split(" ")[:2] for line in result.stdout.splitlines() if "finding(s)" not in line] == [
        ["function_app.py:6:5:", "blocking:"],
        ["functions/one.py:6:5:", "blocking:"],
    ]


def test_json_and_strict_of_one_file(folder: Path) -> None:
    result = CliRunner().invoke(app, [str(folder / "function_app.py"), "--json", "--strict"])
    assert result.exit_code == 1
    assert [(item["line"], item["rule"]) for item in json.loads(result.stdout)] == [(6, "blocking"), (7, "log")]


def test_a_clean_folder_is_exit_code_0_and_a_missing_one_2(tmp_path: Path) -> None:
    assert CliRunner().invoke(app, [str(tmp_path)]).exit_code == 0
    assert CliRunner().invoke(app, [str(tmp_path / "missing")]).exit_code == 2


def test_the_command_is_part_of_durable(folder: Path) -> None:
    command = [sys.executable, "-m", "durable_core.cli.main", "check", str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "function_app.py:6:5: blocking: time.sleep()" in result.stdout


def test_the_sample_app_is_clean() -> None:
    root = Path(__file__).parents[2]
    for path in (root / "function_app.py", root / "functions"):
        assert CliRunner().invoke(app, [str(path), "--strict"]).exit_code == 0
