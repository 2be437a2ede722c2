"""How failures of user code are told: in TaskFailed events and in outputs of failed instances (python-stack
captures)."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable

_PACKAGE = __name__.partition(".")[0]


def activity_failure(name: str) -> Callable[[BaseException], tuple[str, str | None]]:
    """Reason and Details of TaskFailed for the exceptions of one activity.

    Details is a JSON object with the members that .NET's serialised exception has; ``StackTraceString`` holds the
    Python
    traceback, from the user's code on.
    """

    def describe(error: BaseException) -> tuple[str, str]:
        message = exception_text(error)
        details = {
            "$type": "System.Exception, System.Private.CoreLib",
            "ClassName": "System.Exception",
            "Message": message,
            "Data": None,
            "InnerException": None,
            "HelpURL": None,
            "StackTraceString": user_traceback(error),
            "RemoteStackTraceString": None,
            "RemoteStackIndex": 0,
            "ExceptionMethod": None,
            "HResult": -2146233088,
            "Source": None,
            "WatsonBuckets": None,
        }
        return f"Activity function '{name}' failed: {message}", json.dumps(
            details, ensure_ascii=False, separators=(",", ":")
        )

    return describe


def orchestrator_failure(name: str) -> Callable[[BaseException], str]:
    """Output of the failed instances of one orchestrator: the exception's text, without its type."""

    def describe(error: BaseException) -> str:
        return f"Orchestrator function '{name}' failed: {str(error) or repr(type(error))}"

    return describe


def exception_text(error: BaseException) -> str:
    """``ValueError: bad thing``; the bare type name when there is no text."""
    text = str(error)
    name = type(error).__name__
    return f"{name}: {text}" if text else name


def user_traceback(error: BaseException) -> str:
    """The traceback without the frames of this package."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if f"/{_PACKAGE}/" not in frame.filename.replace("\\", "/") and "concurrent/futures" not in frame.filename
    ]
    return "".join(traceback.format_list(frames))
