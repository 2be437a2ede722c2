"""The files of an app, checked."""

from __future__ import annotations

import os
import tokenize
from collections.abc import Iterator
from pathlib import Path

from durable_core.check.finding import Finding
from durable_core.check.scanner import check_source

_LEFT_OUT = frozenset({"__pycache__", "node_modules", "site-packages", "venv", "env", "antenv", "build", "dist"})
_SIGNS = (b"orchestration_trigger", b"Orchestrator.create", b"durable: ignore")
"""What a file must contain to be worth parsing when only its orchestrators matter."""


def check_path(root: Path, *, strict: bool = False) -> list[Finding]:
    """Check one file, or every Python file of a folder; nothing is imported.

    Virtual environments, hidden folders and caches are left out.

    Args:
        strict: also report what is merely untidy.

    Raises:
        OSError: ``root`` cannot be read.
    """
    if root.is_file():
        return _check_file(root, root.as_posix(), strict)
    return [
        finding
        for file in _python_files(root)
        for finding in _check_file(file, file.relative_to(root).as_posix(), strict)
    ]


def check_orchestrators(root: Path) -> list[Finding]:
    """As ``check_path`` for a folder, but files without orchestrators are not even parsed: for the start of an app."""
    return [
        finding
        for file in _python_files(root)
        if any(sign in file.read_bytes() for sign in _SIGNS)
        for finding in _check_file(file, file.relative_to(root).as_posix(), False)
    ]


def _python_files(root: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(root):
        names[:] = sorted(
            name
            for name in names
            if name not in _LEFT_OUT and name[0] != "." and not Path(folder, name, "pyvenv.cfg").exists()
        )
        for name in sorted(files):
            if name.endswith(".py"):
                yield Path(folder, name)


def _check_file(file: Path, shown: str, strict: bool) -> list[Finding]:
    try:
        with tokenize.open(file) as opened:
            source = opened.read()
    except (SyntaxError, UnicodeDecodeError) as error:
        return [Finding(shown, 1, 1, "", "", "syntax", f"the file ({error})")]
    return check_source(source, shown, strict=strict)
