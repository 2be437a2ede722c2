"""Management links of an instance (http-and-protocol 2.1, 2.3)."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote, urlsplit

from durable_core.model.runtime import LinkSettings


def management_links(links: LinkSettings, task_hub: str, instance_id: str) -> dict[str, str]:
    """All nine links of one instance, in the order of http-and-protocol 2.1.

    ``{eventName}`` and ``{text}`` are for the caller to fill; the id is percent-encoded, with a space as ``%20``.
    """
    query = f"taskHub={quote(task_hub, safe='')}&connection={quote(links.connection, safe='')}"
    if links.code:
        query += f"&code={quote(links.code, safe='')}"
    instance = f"{links.base}/instances/{quote(instance_id, safe='')}"
    return {
        "id": instance_id,
        "statusQueryGetUri": f"{instance}?{query}",
        "sendEventPostUri": f"{instance}/raiseEvent/{{eventName}}?{query}",
        "terminatePostUri": f"{instance}/terminate?reason={{text}}&{query}",
        "rewindPostUri": f"{instance}/rewind?reason={{text}}&{query}",
        "purgeHistoryDeleteUri": f"{instance}?{query}",
        "restartPostUri": f"{instance}/restart?{query}",
        "suspendPostUri": f"{instance}/suspend?reason={{text}}&{query}",
        "resumePostUri": f"{instance}/resume?reason={{text}}&{query}",
    }


def seen_from(links: LinkSettings, url: str | None) -> LinkSettings:
    """The same settings with scheme and authority of the request ``url``, if it has any."""
    asked = urlsplit(url or "")
    if not asked.netloc:
        return links
    base = urlsplit(links.base)._replace(scheme=asked.scheme, netloc=asked.netloc)
    return replace(links, base=base.geturl())
