"""``DFApp`` and ``Blueprint`` of the alias: what is decorated with them speaks the alias's dialect."""

from __future__ import annotations

from typing import Any, NoReturn

from durable_core.alias.client import DurableOrchestrationClient, SyncDurableFunctionsClient
from durable_core.alias.context import DurableEntityContext, start
from durable_core.alias.encoding import ENCODED_TWICE
from durable_core.alias.messages import refuse
from durable_core.model import app
from durable_core.model.dialect import Dialect

AZURE = Dialect(
    start,
    DurableEntityContext,
    DurableOrchestrationClient,
    SyncDurableFunctionsClient,
    ENCODED_TWICE,
    rolls_back=False,
    refuses_foreign_apps=False,
)


class Blueprint(app.Blueprint):
    """A set of functions; may be registered in a ``DFApp`` or in a ``func.FunctionApp``."""

    dialect = AZURE

    def durable_openai_agent_orchestrator(
        self, _func: Any = None, *, model_provider: Any = None, model_retry_options: Any = None
    ) -> NoReturn:
        """Refused: the OpenAI agents of the original are not part of this package."""
        refuse("durable_openai_agent_orchestrator", "OpenAI agents are not part of it; call the model in an activity")


class DFApp(Blueprint, app.DFApp):
    """The app object of ``function_app.py``."""
