"""The public surface of ``azure.durable_functions`` as plain data: modules, names, signatures, members.

``sdk_surface.json`` is what this file wrote in an environment with azure-functions-durable 1.7.0:

    python tests/alias/surface.py > tests/alias/sdk_surface.json
"""

from __future__ import annotations

import enum
import importlib
import inspect
import json
import pkgutil
import sys
import warnings
from collections.abc import Iterable
from types import ModuleType
from typing import Any

ROOT = "azure.durable_functions"
_WITH_MEANING = ("__bool__", "__eq__", "__str__")


def described(modules: Iterable[str]) -> dict[str, Any]:
    """``modules``: what each shows, by name; ``classes``: members of each class, by the module that makes it.

    Args:
        modules: full names.
    """
    shown: dict[str, dict[str, str]] = {}
    classes: dict[str, dict[str, str]] = {}
    for full_name in modules:
        names: dict[str, str] = {}
        for name, value in sorted(vars(importlib.import_module(full_name)).items()):
            found = _of_name(name, value)
            if found is None:
                continue
            names[name] = found
            if inspect.isclass(value):
                classes[found.removeprefix("class ")] = _members(value)
        shown[full_name] = names
    return {"modules": shown, "classes": classes}


def signature_text(function: Any) -> str:
    """Parameters without annotations; a default that is no literal is an ellipsis."""
    parameters = [
        parameter.replace(annotation=inspect.Parameter.empty, default=_default(parameter.default))
        for parameter in inspect.signature(function).parameters.values()
    ]
    return str(inspect.Signature(parameters))[1:-1].replace("Ellipsis", "...")


def kind_of(owner: type, name: str) -> str:
    """What stands behind an attribute of a class: ``property``, ``def …``, ``async …``, ``static …``, ``class …``."""
    value = inspect.getattr_static(owner, name)
    if value is object.__init__:
        return "def self"
    if isinstance(value, staticmethod | classmethod):
        word = "static" if isinstance(value, staticmethod) else "class"
        return f"{word} {signature_text(value.__func__)}"
    if inspect.isfunction(value):
        return f"{'async' if inspect.iscoroutinefunction(value) else 'def'} {signature_text(value)}"
    return "property"


def _parameters(text: str) -> list[inspect.Parameter]:
    return list(inspect.signature(eval(f"lambda {text}: None")).parameters.values())


def accepts_all_of(ours: str, theirs: str) -> bool:
    """Every call that fits ``theirs`` fits ``ours`` and means the same: what comes in addition is optional."""
    mine, wanted = _parameters(ours), _parameters(theirs)
    variable = [parameter for parameter in wanted if parameter.kind is parameter.VAR_KEYWORD]
    if variable and not any(parameter.kind is parameter.VAR_KEYWORD for parameter in mine):
        return False
    wanted = [parameter for parameter in wanted if parameter not in variable]
    for here, there in zip(mine, wanted, strict=False):
        same_default = here.default == there.default or ... in (here.default, there.default)
        if (here.name, here.kind) != (there.name, there.kind):
            return False
        if not (same_default or there.default is there.empty):
            return False
    more = mine[len(wanted) :]
    optional = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return len(mine) >= len(wanted) and all(
        parameter.default is not parameter.empty or parameter.kind in optional for parameter in more
    )


def _of_name(name: str, value: Any) -> str | None:
    if name == "__all__":
        return " ".join(value)
    if name.startswith("_") or isinstance(value, ModuleType):
        return None
    if inspect.isclass(value) and value.__module__.startswith(ROOT):
        return f"class {value.__module__}.{value.__qualname__}"
    if inspect.isfunction(value) and value.__module__.startswith(ROOT):
        return f"def {signature_text(value)}"
    return repr(value) if isinstance(value, str | int) else None


def _members(owner: type) -> dict[str, str]:
    if issubclass(owner, enum.Enum):
        return {member.name: repr(member.value) for member in owner}
    bases = [base for base in owner.__mro__ if base.__module__.startswith(ROOT)]
    found = {"bases": " ".join(base.__name__ for base in bases[1:]), "__init__": kind_of(owner, "__init__")}
    for name in sorted({name for base in bases for name in vars(base)}):
        if not name.startswith("_") or (name in _WITH_MEANING):
            found[name] = kind_of(owner, name)
    return found


def _default(value: Any) -> Any:
    return value if value is inspect.Parameter.empty or isinstance(value, str | int | float | None) else ...


def main() -> None:
    """Describe the installed original."""
    warnings.simplefilter("ignore")
    root = importlib.import_module(ROOT)
    below = [module.name for module in pkgutil.walk_packages(root.__path__, f"{ROOT}.")]
    json.dump(described([ROOT, *(name for name in below if "openai" not in name)]), sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
