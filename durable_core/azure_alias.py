"""``import durable_core.azure_alias`` lets ``azure.durable_functions`` be this package from that line on.

``durable start`` does the same before it imports an app.
"""

from __future__ import annotations

from durable_core.alias.finder import install

install()
