"""``durable keys``: show, set, delete and renew, of the app and of single functions."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.cli.conftest import Shell

APP = """
import os
import azure.functions as func
import durable_core as df

print("the app speaks", os.environ["FROM_SETTINGS"])
app = df.DFApp()

@app.route(route="hello")
def Hello(req: func.HttpRequest) -> str:
    return "hello"

@app.route(route="other")
def other(req: func.HttpRequest) -> str:
    return "other"

@app.activity_trigger(input_name="name")
def say(name):
    return name
"""


@pytest.fixture
def app_shell(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    (shell.root / "function_app.py").write_text(APP)
    (shell.root / "local.settings.json").write_text('{"IsEncrypted": false, "Values": {"FROM_SETTINGS": "yes"}}')
    monkeypatch.setenv("FROM_SETTINGS", "yes")  # so that it is taken back after the test
    monkeypatch.delenv("FROM_SETTINGS")
    monkeypatch.syspath_prepend(str(shell.root))
    sys.modules.pop("function_app", None)
    yield shell
    sys.modules.pop("function_app", None)


def test_the_hosts_keys_are_made_shown_and_renewed(shell: Shell) -> None:
    keys = shell.json("keys", "show")
    assert list(keys) == ["system", "function", "master"]
    assert shell.json("keys", "list") == keys
    text = shell("keys", "show").stdout
    assert all(value in text for value in (keys["master"], keys["function"]["default"]))
    shell("keys", "renew", "master", code=2)
    assert shell.json("keys", "renew", "master", "--yes")["master"] != keys["master"]


def test_function_keys_of_the_app_are_set_and_deleted(shell: Shell) -> None:
    keys = shell.json("keys", "set", "partner", "--value", "a-key-of-mine")
    assert keys["function"]["partner"] == "a-key-of-mine"
    made = shell.json("keys", "set", "partner")["function"]["partner"]
    assert made != "a-key-of-mine" and len(made) >= 50
    shell("keys", "delete", "partner", code=2)
    assert list(shell.json("keys", "delete", "partner", "--yes")["function"]) == ["default"]
    assert "no key 'partner' of the app; it has: default" in shell("keys", "delete", "partner", "-y", code=1).stderr
    assert "visible" in shell("keys", "set", "x", "--value", "two words", code=2).stderr
    assert "visible" in shell("keys", "set", "", code=2).stderr


def test_keys_of_one_function(app_shell: Shell) -> None:
    shown = app_shell("keys", "show", "--function", "hello", "--json")
    assert "the app speaks" not in shown.stdout and "the app speaks" in shown.stderr
    (made,) = app_shell.json("keys", "show", "--function", "HELLO").values()
    assert made in shown.stdout
    both = app_shell.json("keys", "set", "partner", "--value", "mine", "--function", "hello")
    assert both == {"default": made, "partner": "mine"}
    assert app_shell.json("keys", "show")["functions"] == {"hello": both}
    assert "function hello" in app_shell("keys", "show").stdout
    assert app_shell.json("keys", "delete", "default", "--function", "hello", "--yes") == {"partner": "mine"}
    gone = app_shell("keys", "delete", "default", "--function", "hello", "--yes", code=1).stderr
    assert "no key 'default' of function 'hello'; it has: partner" in gone


def test_keys_of_a_function_that_the_app_does_not_have_are_refused(app_shell: Shell) -> None:
    for words in (("show",), ("set", "x")):
        refused = app_shell("keys", *words, "--function", "say", code=2).stderr
        assert "no HTTP function 'say'" in refused and "Hello, other" in refused
    assert "functions" not in app_shell.json("keys", "show")


def test_without_an_app_nobody_knows_its_functions(shell: Shell) -> None:
    assert "has no function_app.py" in shell("keys", "show", "--function", "hello", code=1).stderr
