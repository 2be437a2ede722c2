"""What the original checks when an app is loaded, for code that calls it or names its warning; here it all passes."""

from __future__ import annotations


class DurableFunctionsCompatibilityWarning(UserWarning):
    """Warns of apps that the second version of the original no longer runs; never issued here."""


def validate_extension_bundles() -> None:
    """Nothing to check: no extension bundle is used here."""


def validate_v1_programming_model() -> None:
    """Nothing to check: ``function.json`` apps are not run here."""
