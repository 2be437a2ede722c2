"""Names, hash and keys (task-hub 1, 2, 4.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_core.errors import ConfigurationError
from durable_core.taskhub.keys import escape_key, quote, row_key, unescape_key
from durable_core.taskhub.names import HubNames, default_hub_name
from durable_core.taskhub.partitioning import fnv1a, partition_of


def test_queues_and_containers_lose_the_casing_that_tables_keep() -> None:
    names = HubNames("MyHub")
    assert names.control_queues == [f"myhub-control-0{index}" for index in range(4)]
    assert (names.work_items, names.large_messages, names.app_lease) == (
        "myhub-workitems",
        "myhub-largemessages",
        "myhub-applease",
    )
    assert (names.history, names.instances, names.partitions) == ("MyHubHistory", "MyHubInstances", "MyHubPartitions")
    assert HubNames("MyHub", tracking_prefix="DurableTask").history == "DurableTaskHistory"


@pytest.mark.parametrize("hub", ["", "ab", "1hub", "my-hub", "x" * 46])
def test_bad_hub_names_are_refused_with_the_rule(hub: str) -> None:
    with pytest.raises(ConfigurationError, match="alphanumeric"):
        HubNames(hub)


@pytest.mark.parametrize("count", [0, 17])
def test_partition_counts_outside_1_to_16_are_refused(count: int) -> None:
    """http-and-protocol 10, item 90."""
    with pytest.raises(ConfigurationError, match="between 1 and 16"):
        HubNames("MyHub", count)


@pytest.mark.parametrize(
    ("site", "hub"),
    [
        ("Task-Hub-Name-Test", "TaskHubNameTest"),
        ("1TaskHub", "t1TaskHub"),
        ("--------", "DefaultTaskHub"),
        ("bb", "bbHub"),
    ],
)
def test_default_names_are_made_fit(site: str, hub: str) -> None:
    """http-and-protocol 5.5, and http-and-protocol 10, items 92, 93 and 94."""
    assert default_hub_name({"WEBSITE_SITE_NAME": site}) == hub
    assert default_hub_name({}) == "TestHubName"
    with pytest.raises(ConfigurationError, match="slot"):
        default_hub_name({"WEBSITE_SITE_NAME": site, "WEBSITE_SLOT_NAME": "staging"})


@pytest.mark.parametrize(
    ("instance_id", "value", "of_4", "of_16"),
    [
        ("", 2166136261, 1, 5),
        ("a", 3826002220, 0, 12),
        ("instance-1", 4203887252, 0, 4),
        ("my-order-42", 1590524811, 3, 11),
        ("0123456789abcdef0123456789abcdef", 2261798325, 1, 5),
        ("f6ac7180e1ac41498e8afe327ee18518", 2612132303, 3, 15),
        ("f6ac7180e1ac41498e8afe327ee18518:3", 3959957908, 0, 4),
        ("@counter@key", 2315974266, 2, 10),
        ("@Counter@key", 293405914, 2, 10),
        ("@counter@mykey", 3429522944, 0, 0),
        ("Order/2024#7", 2841254838, 2, 6),
        ("Zürich-注文-1", 2292038023, 3, 7),
        ("😀", 866293256, 0, 8),
        ("myapp", 0x1312A8A6, 2, 6),
    ],
)
def test_the_hash_of_the_specification(instance_id: str, value: int, of_4: int, of_16: int) -> None:
    assert fnv1a(instance_id) == value
    assert (partition_of(instance_id, 4), partition_of(instance_id, 16)) == (of_4, of_16)


def test_an_unpaired_surrogate_hashes_as_the_replacement_character() -> None:
    assert fnv1a("a\ud800b") == fnv1a("a\ufffdb")
    assert fnv1a("\ud83d\ude00") == fnv1a("😀"), "two halves side by side are a pair"


@pytest.mark.parametrize(
    ("instance_id", "key"),
    [
        ("Order/2024#7", "Order^02024^27"),
        ("a\\b?c^d", "a^1b^3c^^d"),
        ("\t", "^\u00c9"),
        ("\x7f", "^\u013f"),
        ("100%'", "100%'"),
    ],
)
def test_keys_are_escaped_as_specified(instance_id: str, key: str) -> None:
    assert escape_key(instance_id) == key
    assert unescape_key(key) == instance_id


@given(st.text())
def test_keys_come_back(instance_id: str) -> None:
    assert unescape_key(escape_key(instance_id)) == instance_id
    assert not set(escape_key(instance_id)) & set("/\\#?")


def test_row_keys_sort_like_positions() -> None:
    assert row_key(10) == "000000000000000A"
    assert sorted([row_key(255), row_key(16), row_key(9), "sentinel"]) == [
        row_key(9),
        row_key(16),
        row_key(255),
        "sentinel",
    ]
    assert quote("it's") == "'it''s'"
