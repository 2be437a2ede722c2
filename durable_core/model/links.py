"""Management links of an instance (http-and-protocol 2.1, 2.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import parse_qsl, quote, urlsplit

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


def seen_from(links: LinkSettings, url: str | None, headers: Mapping[str, str] | None = None) -> LinkSettings:
    """The same settings as the caller of ``url`` needs them: with scheme and authority of the address it used.

    Behind the front ends of Azure a request may arrive as http: an https base stays https. With ``passes_key`` the
    links carry the key that the caller presented, unless one is configured (functions-host 6.3).
    """
    asked = urlsplit(url or "")
    if not asked.netloc:
        return links
    base = urlsplit(links.base)
    scheme = "https" if base.scheme == "https" else asked.scheme
    code = links.code
    if code is None and links.passes_key:
        named = {name.lower(): value for name, value in (headers or {}).items()}
        code = named.get("x-functions-key") or dict(parse_qsl(asked.query)).get("code")
    return replace(links, base=base._replace(scheme=scheme, netloc=asked.netloc).geturl(), code=code)
