"""The one JSON codec of the programming model (python-api 10).

JSON values stand as they are. An object whose class has ``to_json`` becomes
``{"__class__": …, "__module__": …, "__data__": …}``, the envelope of the ``azure.durable_functions`` package; reading
it back needs the class's ``from_json``, and only ever touches modules that are already imported.
"""

from __future__ import annotations

import json
import math
import os
import sys
from json.encoder import encode_basestring
from typing import Any

from durable_core.core.json_text import read_json
from durable_core.errors import SerializationError

_CLASS, _MODULE, _DATA = "__class__", "__module__", "__data__"
_SHOWN = 80
_LARGE = 1 << 63
_PLAIN = (str, int, float, bool, type(None))


_STRICT = "AZURE_FUNCTIONS_DURABLE_STRICT_TYPING"


def is_strict() -> bool:
    """Objects are only written at the top of a value, and only read where their class is expected (python-api 10.1)."""
    return os.environ.get(_STRICT, "").lower() in ("1", "true", "yes")


def _default(value: Any) -> Any:
    to_json = getattr(type(value), "to_json", None)
    if to_json is None:
        raise TypeError(f"{type(value).__name__} has no to_json")
    return {_CLASS: type(value).__name__, _MODULE: type(value).__module__, _DATA: to_json(value)}


_encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_default)
_spaced = json.JSONEncoder(allow_nan=False, default=_default)
_escaping = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), allow_nan=False, default=_default)


def encode(value: Any, what: str) -> str:
    """JSON text of ``value``.

    Args:
        what: what the value is, for the error text, e.g. ``the input of activity 'charge'``.

    Raises:
        SerializationError: it cannot be written; the text names ``what`` and the path inside the value.
    """
    if type(value) is int and -_LARGE < value < _LARGE:
        return str(value)  # the state and result of most entities
    try:
        text = _encoder.encode(_top(value))
        return text if text.isascii() or _is_unicode(text) else _escaping.encode(value)
    except Exception as error:  # the user's to_json may raise anything
        raise _unwritable(value, what, error) from error


def encode_spaced(value: Any, what: str) -> str:
    """As ``encode``, in the form that ``json.dumps`` has by default: with spaces, in ASCII."""
    try:
        return _spaced.encode(_top(value))
    except Exception as error:  # the user's to_json may raise anything
        raise _unwritable(value, what, error) from error


def _unwritable(value: Any, what: str, error: Exception) -> SerializationError:
    return SerializationError(f"{what} cannot be written as JSON: {_reason(value) or error}")


def encode_or_none(value: Any, what: str) -> str | None:
    """As ``encode``, but None stays None: an absent value is not the text ``null`` (semantics 4.2)."""
    return None if value is None else encode(value, what)


def _top(value: Any) -> Any:
    """In strict mode an object is wrapped here, and one further inside is an error."""
    if type(value) in _PLAIN or not is_strict():
        return value
    if hasattr(type(value), "to_json"):
        value = _default(value)
    json.dumps(value)
    return value


def decode(text: str | None, expected: type | None = None) -> Any:
    """The value of a JSON text; None for None.

    Args:
        expected: class of an object; only strict mode, which reads no other, needs it.

    Raises:
        TypeError: strict mode, and the text holds an object of another class.
        json.JSONDecodeError: the text is no JSON.
        ValueError: it names a class that is not there, or that refuses its data.
    """
    if text is None:
        return None
    try:
        if _CLASS not in text:
            return read_json(text)
        return _expected_object(text, expected) if is_strict() else json.loads(text, object_hook=_revive)
    except json.JSONDecodeError as error:
        shown = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
        raise json.JSONDecodeError(f"the stored value {shown!r} is not JSON: {error.msg}", text, error.pos) from None


def _expected_object(text: str, expected: type | None) -> Any:
    document = json.loads(text)
    if not (isinstance(document, dict) and {_CLASS, _MODULE, _DATA} <= document.keys()):
        return document
    declared = f"{document[_MODULE]}.{document[_CLASS]}"
    if expected is None:
        raise TypeError(f"strict typing: the value is a {declared}; name the class as expected_type to read it")
    if declared != f"{expected.__module__}.{expected.__name__}":
        raise TypeError(
            f"strict typing: the value is a {declared}, expected was {expected.__module__}.{expected.__name__}"
        )
    return _revive(document)


def decode_or_text(text: str | None) -> Any:
    """The value of a JSON text; the text itself if it is no JSON or cannot be turned into the object it names."""
    try:
        return decode(text)
    except ValueError:
        return text
    except TypeError:  # strict mode, and nobody can say which class is expected: the object in its stored form
        return json.loads(text or "null")


def encode_activity_input(value: Any, activity: str) -> str:
    """The input of an activity message: an array of one argument, as .NET writes it (semantics 4.2)."""
    if type(value) is str and (quoted := encode_basestring(value)).isascii():
        return f"[{quoted}]"  # the most frequent kind, written at every replay
    text = encode(value, f"the input of activity '{activity}'")
    return f"[{text}]"


def decode_activity_input(text: str | None, expected: type | None = None) -> Any:
    """The argument inside an activity message; raw values and text of other writers are passed on (python-api 9).

    Args:
        expected: as for ``decode``.

    Raises:
        ValueError: the text names a class that is not there, or that refuses its data.
    """
    try:
        if text is not None and _CLASS in text and is_strict():
            text = _argument(text)
            return decode(text, expected)
        value = decode(text)
    except json.JSONDecodeError:
        return text
    if isinstance(value, list) and len(value) == 1:
        return value[0]
    return value


def _argument(text: str) -> str:
    """The JSON text of the one argument in an array; any other text as it is."""
    document = json.loads(text)
    return json.dumps(document[0]) if isinstance(document, list) and len(document) == 1 else text


def _is_unicode(text: str) -> bool:
    """False if half a surrogate pair is in it: no storage service takes that, so it must be escaped."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _revive(document: dict[str, Any]) -> Any:
    name, module_name = document.get(_CLASS), document.get(_MODULE)
    if not (_DATA in document and isinstance(name, str) and isinstance(module_name, str)):
        return document
    module = sys.modules.get(module_name)
    if module is None:
        raise ValueError(f"the value is a {name} of module {module_name}, which is not imported; import it in the app")
    from_json = getattr(getattr(module, name, None), "from_json", None)
    if from_json is None:
        raise ValueError(f"{module_name}.{name} has no from_json, so the value cannot be read")
    try:
        return from_json(document[_DATA])
    except Exception as error:  # the user's from_json may raise anything
        raise ValueError(f"{module_name}.{name}.from_json raised {error!r}") from error


def _reason(value: Any) -> str | None:
    try:
        return _find(value, "$", set())
    except RecursionError:
        return "it is nested too deeply"


def _find(value: Any, path: str, parents: set[int]) -> str | None:
    """The first place inside ``value`` that cannot be written, in words."""
    if value is None or isinstance(value, (str, bool, int)):
        return None
    if isinstance(value, float):
        return None if math.isfinite(value) else f"{path} is {value}, which JSON does not know"
    if id(value) in parents:
        return f"{path} contains itself"
    inside = parents | {id(value)}
    if isinstance(value, dict):
        for key, item in value.items():
            if not (key is None or isinstance(key, (str, int, float, bool))):
                return f"{path} has a key of type {type(key).__name__}; keys must be text"
            found = _find(item, f"{path}.{key}", inside)
            if found:
                return found
        return None
    if isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            found = _find(item, f"{path}[{index}]", inside)
            if found:
                return found
        return None
    to_json = getattr(type(value), "to_json", None)
    if to_json is None:
        return f"{path} is a {type(value).__name__}; pass plain JSON values, or give it to_json and from_json methods"
    try:
        data = to_json(value)
    except RecursionError:
        raise
    except Exception as error:  # the user's to_json may raise anything, and that is the answer
        return f"{path}: {type(value).__name__}.to_json raised {error!r}"
    return _find(data, f"{path}.to_json()", inside)
