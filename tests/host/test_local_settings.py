"""local.settings.json: what is taken from it, and that whatever else stands there is told by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from durable_core.errors import ConfigurationError
from durable_core.host.local_settings import LocalSettings, apply_local_settings, read_local_settings


def read(folder: Path, **document: Any) -> LocalSettings:
    (folder / "local.settings.json").write_text(json.dumps({"IsEncrypted": False, **document}), encoding="utf-8")
    return read_local_settings(folder)


def test_no_file_says_nothing(tmp_path: Path) -> None:
    assert read_local_settings(tmp_path) == LocalSettings()


def test_everything_that_a_host_uses(tmp_path: Path) -> None:
    host = {"LocalHttpPort": "7072", "LocalHttpAddress": "0.0.0.0", "CORS": "*", "corsCredentials": True}
    connections = {"plain": "text", "object": {"ConnectionString": "inner", "ProviderName": "x"}}
    assert read(tmp_path, values={"A": "1"}, ConnectionStrings=connections, Host=host) == LocalSettings(
        {"A": "1", "ConnectionStrings:plain": "text", "ConnectionStrings:object": "inner"}, 7072, "0.0.0.0", "*", True
    )


def test_the_environment_wins_and_what_differs_is_told() -> None:
    environ = {"SAME": "1", "OTHER": "theirs"}
    assert apply_local_settings(LocalSettings({"SAME": "1", "OTHER": "ours", "NEW": "2"}), environ) == ["OTHER"]
    assert environ == {"SAME": "1", "OTHER": "theirs", "NEW": "2"}


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({"Values": [1]}, '"Values" must be an object'),
        ({"Values": {"A": 5}}, '"Values" must hold text only, but "A" does not'),
        ({"Values": {"A=B": ""}}, '"A=B" of "Values" cannot be an environment variable'),
        ({"Values": {"": "x"}}, "cannot be an environment variable"),
        ({"Values": {"A": "\0"}}, '"A" of "Values" cannot be an environment variable'),
        ({"ConnectionStrings": "x"}, '"ConnectionStrings" must be an object'),
        ({"ConnectionStrings": {"A": {}}}, '"ConnectionStrings" must hold text only, but "A" does not'),
        ({"Host": [1]}, '"Host" must be an object'),
        ({"Host": {"LocalHttpPort": "often"}}, "Host.LocalHttpPort must be a number up to 65535, not 'often'"),
        ({"Host": {"LocalHttpPort": 70000}}, "Host.LocalHttpPort must be"),
        ({"Host": {"LocalHttpPort": True}}, "Host.LocalHttpPort must be"),
        ({"Host": {"CORS": ["*"]}}, "Host.CORS must be text"),
        ({"Host": {"LocalHttpAddress": 5}}, "Host.LocalHttpAddress must be text"),
        ({"IsEncrypted": True}, "is encrypted"),
    ],
)
def test_what_cannot_be_used_is_told_by_name(tmp_path: Path, document: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read(tmp_path, **document)
    assert "local.settings.json" in str(refused.value)
    assert text in str(refused.value)
