"""What ``durable start`` prints: the functions with their addresses, as ``func start`` does."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from durable_core.host.indexing import IndexedFunction
from durable_core.host.settings import section
from durable_core.host.values import choice
from durable_core.worker.functions import Functions

_LEVELS = {
    "Trace": logging.DEBUG,
    "Debug": logging.DEBUG,
    "Information": logging.INFO,
    "Warning": logging.WARNING,
    "Error": logging.ERROR,
    "Critical": logging.CRITICAL,
    "None": logging.CRITICAL + 1,
}


def configure_logging(host: Mapping[str, Any]) -> None:
    """Log lines to standard output; the storage SDK only when something is wrong.

    Args:
        host: host.json.

    Raises:
        ConfigurationError: ``logging.logLevel.default`` is no level.
    """
    logging.basicConfig(
        level=choice(section(host, "logging", "logLevel"), "default", _LEVELS, "Information"),
        format="[%(asctime)s] %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S",
        stream=sys.stdout,
        force=True,
    )
    for noisy in ("azure", "aiohttp.access", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def list_functions(functions: Sequence[IndexedFunction], durable: Functions, base: str, prefix: str) -> str:
    """The function list.

    Args:
        base: scheme and authority, e.g. ``http://localhost:7071``.
        prefix: route prefix without slashes.
    """
    lines: list[str] = []
    http = [function for function in functions if function.route is not None]
    if http:
        lines += ["Functions:", ""]
        for function in http:
            assert function.route is not None
            methods = ",".join(sorted(function.route.methods)) or "*"
            path = "/".join(part for part in (prefix, function.route.template) if part)
            lines += [f"\t{function.name}: [{methods}] {base}/{path}", ""]
    lines += [f"\t{function.name}: {_listens(function)}\n" for function in functions if function.route is None]
    lines += [f"\t{name}: orchestrationTrigger\n" for name in sorted(durable.orchestrators)]
    lines += [f"\t{name}: activityTrigger\n" for name in sorted(durable.activities) if "::" not in name]
    lines += [f"\t{name}: entityTrigger\n" for name in sorted(durable.entities)]
    return "\n".join(lines) or "The app has no functions: decorate them with the app object, or register blueprints."


def _listens(function: IndexedFunction) -> str:
    """The trigger, and what it listens to."""
    source = function.queue.queue if function.queue is not None else function.properties.get("schedule")
    return f"{function.trigger} ({source})"
