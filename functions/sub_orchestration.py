"""Sub-orchestrations: an orchestration made of others, each with an instance of its own.

    curl -X POST localhost:7071/api/orchestrators/provision_devices -H 'Content-Type: application/json' \\
         -d '["lamp", "lock", "lift"]'

A sub-orchestration is called like an activity: its result comes back, its failure is raised where it is waited for, and
it can be retried. Here every device is provisioned by one, all at the same time; one that fails does not stop the
others.
"""

from collections.abc import Generator
from typing import Any

import durable_core as df

bp = df.Blueprint()


@bp.orchestration_trigger(context_name="context")
def provision_devices(context: df.DurableOrchestrationContext) -> Generator[Any, Any, dict[str, str]]:
    """Provision all devices; the output says of each what became of it."""
    devices = context.get_input() or []
    tasks = {device: context.call_sub_orchestrator("provision_device", device) for device in devices}
    outcome = {}
    for device, task in tasks.items():
        try:
            outcome[device] = yield task
        except Exception as error:
            outcome[device] = f"failed: {error}"
    return outcome


@bp.orchestration_trigger(context_name="context")
def provision_device(context: df.DurableOrchestrationContext) -> Generator[Any, Any, str]:
    """The steps for one device."""
    device = context.get_input()
    certificate = yield context.call_activity("create_certificate", device)
    yield context.call_activity("install_certificate", {"device": device, "certificate": certificate})
    return "ready"


@bp.activity_trigger(input_name="device")
def create_certificate(device: str) -> str:
    """Stand-in for a certificate authority."""
    return f"certificate of {device}"


@bp.activity_trigger(input_name="order")
def install_certificate(order: dict[str, str]) -> None:
    """Stand-in for talking to the device."""
    if order["device"] == "lift":
        raise ConnectionError("the lift does not answer")
