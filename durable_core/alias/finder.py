"""Puts the facade where ``import azure.durable_functions`` looks, before any installed original."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType

from durable_core.alias.names import ABSENT, ALSO_SHOWN, EXPORTED, HOME, MODULES, PACKAGES, ROOT
from durable_core.errors import ConfigurationError

logger = logging.getLogger("durable_core.alias")

_ORIGINAL = "azure-functions-durable"


class _Facade(MetaPathFinder, Loader):
    """Finds and makes the modules of the table in ``names.py``.

    ``azure`` is a namespace that other distributions fill too, so nothing else below it is touched.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        name = _below_root(fullname)
        if name is None:
            return None
        if name in ABSENT:
            raise ModuleNotFoundError(
                f"{fullname} makes no sense under durable_core, which serves azure.durable_functions here: it "
                f"{ABSENT[name]}.",
                name=fullname,
            )
        return ModuleSpec(fullname, self, origin="durable_core.alias", is_package=name in PACKAGES)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        name = _below_root(module.__name__)
        assert name is not None
        # Several modules have the name of the class inside; as in the original, the package shows the class.
        for below in MODULES:
            if below and below.rpartition(".")[0] == name:
                importlib.import_module(f"{ROOT}.{below}")
        for public in (*MODULES[name], *ALSO_SHOWN.get(name, "").split()):
            setattr(module, public, getattr(importlib.import_module(HOME[public]), public))
        module.__doc__ = f"{module.__name__}, served by durable_core."
        if name in PACKAGES:
            module.__all__ = list(MODULES[name] if name else EXPORTED)  # type: ignore[attr-defined]


_finder = _Facade()


def install() -> None:
    """Let ``azure.durable_functions`` be the facade from here on; a second time does nothing.

    Raises:
        ConfigurationError: the original has been imported already.
    """
    if _finder in sys.meta_path:
        return
    if is_original_imported():
        file = getattr(sys.modules[ROOT], "__file__", "elsewhere")
        raise ConfigurationError(
            f"azure.durable_functions is already imported from {file}; import durable_core.azure_alias before it, in "
            "the first line of function_app.py."
        )
    sys.meta_path.insert(0, _finder)
    logger.info("azure.durable_functions is served by durable_core%s.", _instead())


def is_original_imported() -> bool:
    """The installed original is in use in this process, so that the facade comes too late."""
    return ROOT in sys.modules and _finder not in sys.meta_path


def _instead() -> str:
    try:
        return f"; the installed {_ORIGINAL} {version(_ORIGINAL)} is not used"
    except PackageNotFoundError:
        return ""


def _below_root(fullname: str) -> str | None:
    """The name below the root, empty for the root itself; None for what is not ours."""
    if fullname == ROOT:
        return ""
    name = fullname.removeprefix(ROOT + ".")
    return name if name != fullname and (name in MODULES or name in ABSENT) else None
