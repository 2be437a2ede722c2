"""How failures of user code are told, in TaskFailed events and outputs of failed instances (python-stack captures)."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable
from pathlib import Path

_PACKAGE = str(Path(__file__).parents[1]) + os.sep
_POOL = str(Path("concurrent", "futures"))


def activity_failure(name: str) -> Callable[[BaseException], tuple[str, str | None]]:
    """Reason and Details of TaskFailed for the exceptions of one activity.

    Details is a JSON object with the members that .NET's serialised exception has; ``StackTraceString`` holds the
    Python traceback, from the user's code on.
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
        text = json.dumps(details, ensure_ascii=False, separators=(",", ":"))
        return _storable(f"Activity function '{name}' failed: {message}"), _storable(text)

    return describe


def orchestrator_failure(name: str) -> Callable[[BaseException], str]:
    """Output of the failed instances of one orchestrator: the exception's text, without its type (python-api 5.5)."""

    def describe(error: BaseException) -> str:
        return _storable(f"Orchestrator function '{name}' failed: {_text(error) or repr(type(error))}")

    return describe


def exception_message(error: BaseException) -> str:
    """The exception's text as the caller of an entity gets it; its type if it has none."""
    return _storable(_text(error) or repr(type(error)))


def exception_text(error: BaseException) -> str:
    """``ValueError: bad thing``; the bare type name when there is no text."""
    text = _text(error)
    name = type(error).__name__
    return f"{name}: {text}" if text else name


def user_traceback(error: BaseException) -> str:
    """The traceback without the frames of this package; causes first, as Python prints them."""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    chain: list[str] = []
    seen = {id(error)}
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        chain.insert(0, f"{_frames(cause)}{exception_text(cause)}\n\nwhich led to:\n\n")
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return "".join(chain) + _frames(error)


def _frames(error: BaseException) -> str:
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not str(Path(frame.filename)).startswith(_PACKAGE) and _POOL not in str(Path(frame.filename))
    ]
    return "".join(traceback.format_list(frames))


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as fault:  # a broken __str__ of user code must not hide that the function failed
        return f"(its __str__ raised {type(fault).__name__})"


def _storable(text: str) -> str:
    """Half surrogate pairs, which no storage service takes, become their escapes."""
    return text.encode(errors="backslashreplace").decode()
