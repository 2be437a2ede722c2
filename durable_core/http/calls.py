"""What every handler of the management API gets, and what several of them do alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from durable_core.errors import InvalidRequestError
from durable_core.http.hubs import Hubs
from durable_core.http.messages import Query, Request, Response, json_response
from durable_core.model.links import management_links, seen_from
from durable_core.model.runtime import HubClient, LinkSettings
from durable_core.taskhub.instance_table import InstanceStatus

NOT_FOUND = Response(404)
ACCEPTED = Response(202)
GONE = Response(410)
CHECK_STATUS = (
    "id",
    "statusQueryGetUri",
    "sendEventPostUri",
    "terminatePostUri",
    "purgeHistoryDeleteUri",
    "restartPostUri",
    "suspendPostUri",
    "resumePostUri",
)
_RETRY_AFTER = "10"
_LONGEST_ID = 1024
CONTINUATION = "x-ms-continuation-token"


@dataclass(frozen=True, slots=True)
class Call:
    """One request on its route.

    Attributes:
        client: of the hub that the request names, or the app's own.
        values: the decoded segments of the path.
        task_hub: its name as the request has it.
        is_own: it is the hub that this app serves.
    """

    request: Request
    client: HubClient
    links: LinkSettings
    values: Mapping[str, str]
    hubs: Hubs
    task_hub: str
    is_own: bool

    @property
    def query(self) -> Query:
        return self.request.parameters()

    async def instance(self) -> InstanceStatus | None:
        """The row of the instance that the path names, None if there is none.

        Links that older hosts handed out write a space as ``+``: if no instance has the literal name, the one with
        spaces is meant.
        """
        instance_id = self.values["instanceId"]
        if not may_exist(instance_id):
            return None
        try:
            status = await self.client.get_status(instance_id)
            if status is None and "+" in instance_id:
                status = await self.client.get_status(instance_id.replace("+", " "))
        except InvalidRequestError:  # storage could not hold such a key
            return None
        return status


Handler = Callable[[Call], Awaitable[Response]]


def may_exist(instance_id: str) -> bool:
    """Storage could hold an instance of this id."""
    return len(instance_id) <= _LONGEST_ID and not any(0xD800 <= ord(char) <= 0xDFFF for char in instance_id)


def check_status(call: Call, instance_id: str) -> Response:
    """The 202 answer with the links of an instance (http-and-protocol 1.7)."""
    seen = seen_from(call.links, call.request.url, call.request.headers)
    links = management_links(seen, call.task_hub, instance_id)
    document = {name: links[name] for name in CHECK_STATUS}
    return json_response(202, document, {"Location": links["statusQueryGetUri"], "Retry-After": _RETRY_AFTER})
