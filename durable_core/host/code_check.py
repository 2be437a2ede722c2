"""Warnings about orchestrators that do what a replay would repeat, when an app is loaded."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from durable_core.check.files import check_orchestrators

logger = logging.getLogger("durable_core.check")


def warn_of_orchestrators(root: Path) -> int:
    """Log one line for each finding in the modules that the app has imported from its folder; returns their number."""
    files = [Path(name) for module in list(sys.modules.values()) if (name := getattr(module, "__file__", None))]
    try:
        found = check_orchestrators(root, files)
    except OSError as error:
        logger.warning("The app's orchestrators are not checked: %s", error)
        return 0
    for finding in found:
        logger.warning("%s", finding)
    if found:
        logger.warning(
            "%d finding(s) in orchestrators; `durable check` lists them, `# durable: ignore[rule]` switches one off.",
            len(found),
        )
    return len(found)
