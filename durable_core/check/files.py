"""The files of an app, checked."""

from __future__ import annotations

import os
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path

from durable_core.check.finding import Finding
from durable_core.check.scanner import check_source

_LEFT_OUT = frozenset({"__pycache__", "node_modules", "site-packages", "venv", "env", "antenv", "build", "dist"})
_SIGNS = (b"orchestration_trigger", b"Orchestrator.create")
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


def check_orchestrators(root: Path, files: Iterable[Path]) -> list[Finding]:
    """Check files below ``root``; those without orchestrators are not even parsed, for this delays an app's start.

    Raises:
        OSError: a file cannot be read.
    """
    wanted = sorted(file for file in set(files) if _is_of_the_app(root, file))
    return [
        finding
        for file in wanted
        if any(sign in file.read_bytes() for sign in _SIGNS)
        for finding in _check_file(file, file.relative_to(root).as_posix(), False)
    ]


def _is_of_the_app(root: Path, file: Path) -> bool:
    if file.suffix != ".py" or not file.is_relative_to(root):
        return False
    folders = [parent for parent in file.parents if parent.is_relative_to(root) and parent != root]
    return not any(_is_left_out(folder) for folder in folders)


def _is_left_out(folder: Path) -> bool:
    return folder.name in _LEFT_OUT or folder.name.startswith(".") or (folder / "pyvenv.cfg").exists()


def _python_files(root: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(root):
        names[:] = sorted(name for name in names if not _is_left_out(Path(folder, name)))
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
