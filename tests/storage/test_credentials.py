"""Tokens of an identity on plain requests: cached, renewed ahead, and clear errors (functions-host 9)."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass

import pytest
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError

from durable_core.errors import AuthenticationError, ConfigurationError, UnavailableError
from durable_core.storage.azure import open_account
from durable_core.storage.credentials import TokenSigner, identity_credential
from durable_core.storage.settings import ConnectionSettings, resolve_connection


@dataclass
class Token:
    token: str
    expires_on: float


class Credential:
    """Gives tokens of one hour, one second after it was asked, or fails."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.asked = 0
        self.error: Exception | None = None

    async def get_token(self, scope: str) -> Token:
        assert scope == "https://storage.azure.com/.default"
        self.asked += 1
        await asyncio.sleep(0.01)
        if self.error is not None:
            raise self.error
        return Token(f"t{self.asked}", self.now + 3600)


async def authorization(signer: TokenSigner) -> str:
    headers: dict[str, str] = {}
    await signer.sign(headers, "GET", "/q", "", "")
    return headers["Authorization"]


async def test_one_token_serves_all_requests_and_is_renewed_ahead_by_one_of_them() -> None:
    credential = Credential()
    signer = TokenSigner(credential, wall=lambda: credential.now)
    assert set(await asyncio.gather(*(authorization(signer) for _ in range(5)))) == {"Bearer t1"}
    credential.now += 3299
    assert await authorization(signer) == "Bearer t1"
    credential.now += 2
    found = await asyncio.gather(*(authorization(signer) for _ in range(5)))
    assert sorted(found) == ["Bearer t1"] * 4 + ["Bearer t2"], "one renews, the others go on with the old one"
    assert credential.asked == 2


async def test_a_failed_renewal_matters_only_when_the_token_ends() -> None:
    credential = Credential()
    signer = TokenSigner(credential, wall=lambda: credential.now)
    await authorization(signer)
    credential.now += 3400
    credential.error = ServiceRequestError("no network")
    assert await authorization(signer) == "Bearer t1"
    assert await authorization(signer) == "Bearer t1"
    assert credential.asked == 2, "the next attempt waits"
    credential.now += 195
    with pytest.raises(UnavailableError, match="no network"):
        await authorization(signer)
    credential.error = ClientAuthenticationError("no identity here")
    with pytest.raises(AuthenticationError, match=r"no identity here.*az login"):
        await authorization(signer)


IDENTITY = ConnectionSettings("acct", *(f"https://acct.{name}.core.windows.net" for name in ("blob", "queue", "table")))


def test_without_the_extra_the_error_tells_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    monkeypatch.setitem(sys.modules, "azure.identity.aio", None)
    with pytest.raises(ConfigurationError, match=r"acct.*pip install durable-core\[identity\]"):
        open_account(IDENTITY)


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({}, "DefaultAzureCredential"),
        ({"credential": "managedidentity", "clientId": "me"}, "ManagedIdentityCredential"),
        ({"tenantId": "t", "clientId": "me", "clientSecret": "s/"}, "ClientSecretCredential"),
    ],
)
async def test_the_settings_choose_the_credential(options: dict[str, str], kind: str) -> None:
    environ = {f"AzureWebJobsStorage__{name}": value for name, value in {"accountName": "acct", **options}.items()}
    settings = resolve_connection("Storage", environ)
    credential = identity_credential(settings)
    assert type(credential).__name__ == kind
    assert "s/" not in repr(settings)
    await credential.close()


def test_workload_identity_that_is_not_set_up_is_a_configuration_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_FEDERATED_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    environ = {"AzureWebJobsStorage__accountName": "acct", "AzureWebJobsStorage__credential": "WorkloadIdentity"}
    with pytest.raises(ConfigurationError, match="Workload identity"):
        identity_credential(resolve_connection("Storage", environ))
