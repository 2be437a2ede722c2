"""Transfer: a critical section over two entities, so that nobody sees half of it.

    curl -X POST localhost:7071/api/orchestrators/open_account -H 'Content-Type: application/json' \\
         -d '{"account": "anna", "amount": 100}'
    curl -X POST localhost:7071/api/orchestrators/transfer -H 'Content-Type: application/json' \\
         -d '{"source": "anna", "target": "ben", "amount": 30}'

Inside the ``with`` block only this orchestration's operations run on the two accounts. The accounts are locked in the
same order by everybody, so two transfers never wait for each other; the locks are released however the orchestration
ends.
"""

from collections.abc import Generator
from typing import Any

import durable_core as df

bp = df.Blueprint()


@bp.entity_trigger(context_name="context", entity_name="account")
class Account(df.DurableEntity):
    """A balance that cannot become negative; every public method is an operation."""

    def deposit(self, amount: int) -> int:
        """Add to the balance and return the new one."""
        balance: int = self.get_state(default=0) + amount
        self.set_state(balance)
        return balance

    def withdraw(self, amount: int) -> int:
        """Take from the balance and return the new one; fails if there is not enough."""
        balance: int = self.get_state(default=0)
        if amount > balance:
            raise ValueError(f"account '{self.entity_id.key}' holds {balance}, not {amount}")
        self.set_state(balance - amount)
        return balance - amount

    def balance(self) -> int:
        """The balance, 0 for an account that nobody has used."""
        found: int = self.get_state(default=0)
        return found


@bp.orchestration_trigger(context_name="context")
def open_account(context: df.DurableOrchestrationContext) -> Generator[Any, Any, int]:
    """Deposit ``amount`` on ``account`` and return its balance."""
    order = context.get_input()
    balance: int = yield context.call_entity(df.EntityId("account", order["account"]), "deposit", order["amount"])
    return balance


@bp.orchestration_trigger(context_name="context")
def transfer(context: df.DurableOrchestrationContext) -> Generator[Any, Any, dict[str, Any]]:
    """Move ``amount`` from ``source`` to ``target`` if there is enough."""
    order = context.get_input()
    source, target = df.EntityId("account", order["source"]), df.EntityId("account", order["target"])
    with (yield context.lock(source, target)):
        if (yield context.call_entity(source, "balance")) < order["amount"]:
            return {"moved": False, "reason": f"{order['source']} has not enough"}
        left = yield context.call_entity(source, "withdraw", order["amount"])
        now = yield context.call_entity(target, "deposit", order["amount"])
    return {"moved": True, "source": left, "target": now}
