"""Connection settings as the Functions host reads them (functions-host 9)."""

from __future__ import annotations

import traceback

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


@pytest.mark.parametrize("proxy", ["http://azurite", "http://azurite/", "http://azurite:8888"])
def test_the_emulator_behind_a_proxy_address_keeps_its_ports(proxy: str) -> None:
    settings = parse_connection_string(f"UseDevelopmentStorage=true;DevelopmentStorageProxyUri={proxy}")
    assert settings == emulator(host="azurite")


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
        ("AccountName=x;AccountKey=secret!é", "not valid Base64"),
        ("AccountName=x;AccountKey=eA==;QueueEndpoint=ftp://secret!", "QueueEndpoint .* no http"),
        ("AccountName=x;AccountKey=eA==;QueueEndpoint=https://[secret!", "QueueEndpoint .* no http"),
        ("AccountName=x;AccountKey=eA==;BlobEndpoint=https://x/?sig=secret!", "BlobEndpoint .* SharedAccessSignature"),
        ("UseDevelopmentStorage=true;DevelopmentStorageProxyUri=azurite", "DevelopmentStorageProxyUri"),
    ],
)
def test_wrong_connection_strings_are_told_by_name_and_never_shown(text: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason) as caught:
        resolve_connection("Storage", {"AzureWebJobsStorage": text})
    assert "AzureWebJobsStorage" in str(caught.value)
    shown = "".join(traceback.format_exception(caught.value))
    assert "secret!" not in shown, "neither in the text nor in its causes"


def test_the_account_of_a_signature_only_string_is_read_from_the_endpoint() -> None:
    path_style = parse_connection_string(
        "QueueEndpoint=http://127.0.0.1:10001/acct/;TableEndpoint=http://127.0.0.1:10002/acct;"
        "BlobEndpoint=http://localhost:10000/acct;SharedAccessSignature=sv=1"
    )
    assert (path_style.account, path_style.queue_endpoint) == ("acct", "http://127.0.0.1:10001/acct")


def test_storage_means_the_hosts_own_setting_and_another_name_itself_first() -> None:
    other = "AccountName=other;AccountKey=eA=="
    environ = {"AZUREWEBJOBSSTORAGE": "UseDevelopmentStorage=true", "Storage": other, "X": other}
    assert resolve_connection("Storage", environ) == emulator()
    assert resolve_connection("AzureWebJobsStorage", environ) == emulator()
    both = {"X": other, "AzureWebJobsX": "UseDevelopmentStorage=true"}
    assert resolve_connection("X", both).account == "other"


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
    assert uris.table_endpoint == "https://acct.table.example", "the others follow the suffix that was given"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"accountName": "a", "credential": "password"}, "__credential is 'password'; managedidentity"),
        ({"accountName": "a", "clientSecret": "secret!"}, "__clientSecret needs AzureWebJobsStorage__tenantId"),
        ({"queueServiceUri": "http://a.queue.example"}, "__queueServiceUri must be an https address"),
        ({"queueServiceUri": "a.queue.example"}, "__queueServiceUri is no http"),
    ],
)
def test_wrong_identity_settings_are_told_by_name(options: dict[str, str], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason) as caught:
        resolve_connection("Storage", {f"AzureWebJobsStorage__{name}": value for name, value in options.items()})
    assert "secret!" not in str(caught.value)
