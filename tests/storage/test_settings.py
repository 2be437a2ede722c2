"""Connection settings as the Functions host reads them (functions-host 9)."""

from __future__ import annotations

import pytest

from durable_core.errors import ConfigurationError
from durable_core.storage.settings import (
    EMULATOR_KEY,
    connection_string,
    emulator,
    parse_connection_string,
    resolve_connection,
)


def test_the_emulator_in_one_word() -> None:
    settings = parse_connection_string("UseDevelopmentStorage=true")
    assert settings == emulator()
    assert settings.is_emulator


def test_a_connection_string_gives_all_endpoints() -> None:
    settings = parse_connection_string(
        f"DefaultEndpointsProtocol=https;AccountName=acct;AccountKey={EMULATOR_KEY};EndpointSuffix=core.windows.net"
    )
    assert settings.queue_endpoint == "https://acct.queue.core.windows.net"
    assert (settings.table_endpoint, settings.key) == ("https://acct.table.core.windows.net", EMULATOR_KEY)
    assert parse_connection_string(connection_string(settings)) == settings
    assert EMULATOR_KEY not in repr(settings)


def test_explicit_endpoints_and_shared_access_signatures() -> None:
    settings = parse_connection_string(
        "QueueEndpoint=https://a.queue.example/;TableEndpoint=https://a.table.example;"
        "BlobEndpoint=https://a.blob.example;SharedAccessSignature=?sv=1&sig=x%3D"
    )
    assert (settings.account, settings.queue_endpoint, settings.sas) == (
        "a",
        "https://a.queue.example",
        "sv=1&sig=x%3D",
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("nonsense", "not a storage connection string"),
        ("AccountKey=eA==", "no AccountName"),
        ("AccountName=x", "neither an AccountKey nor a SharedAccessSignature"),
        ("AccountName=x;AccountKey=secret!", "not valid Base64"),
        ("AccountName=x;AccountKey=eA==;QueueEndpoint=ftp://x", "no http"),
    ],
)
def test_wrong_connection_strings_are_told_by_name_and_never_shown(text: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason) as caught:
        resolve_connection("Storage", {"AzureWebJobsStorage": text})
    assert "AzureWebJobsStorage" in str(caught.value)
    assert "secret!" not in str(caught.value)


def test_names_are_looked_up_with_and_without_the_prefix() -> None:
    environ = {"AzureWebJobsOther": "UseDevelopmentStorage=true", "Plain": "UseDevelopmentStorage=true"}
    assert resolve_connection("Other", environ) == resolve_connection("Plain", environ) == emulator()
    with pytest.raises(ConfigurationError, match="No storage connection is configured"):
        resolve_connection("Storage", {})


def test_identity_form() -> None:
    settings = resolve_connection(
        "Storage", {"AzureWebJobsStorage__accountName": "acct", "AzureWebJobsStorage__clientId": "me"}
    )
    assert (settings.blob_endpoint, settings.key, settings.client_id) == (
        "https://acct.blob.core.windows.net",
        None,
        "me",
    )
    uris = resolve_connection("Storage", {"AzureWebJobsStorage__queueServiceUri": "https://acct.queue.example/"})
    assert (uris.account, uris.queue_endpoint) == ("acct", "https://acct.queue.example")
