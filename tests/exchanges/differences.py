"""Where an answer is not the recorded one: the one table of it. What is not in here must match."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """Exchanges that differ alike.

    Attributes:
        numbers: of the exchanges.
        captured, ours: what stands in the one answer and not in the other, piece by piece; a status is ``HTTP 404``.
        why: the reason.
        topics: first cells of the rows of docs/compatibility.md that tell users so.
        is_all: with the pieces replaced, the answers are equal; False where more follows from the same reason: all of
            it stands in ``differences.diff``.
    """

    numbers: tuple[int, ...]
    captured: tuple[str, ...]
    ours: tuple[str, ...]
    why: str
    topics: tuple[str, ...]
    is_all: bool = True


_WRONG = "Something went wrong while processing your request"
_INCORRECT = "One or more of the arguments submitted is incorrect"

_IDS = ("Ids of new instances over HTTP",)
_PLUS = ("`+` in a path",)
_JSON = ("What is wrong with JSON",)
_UNKNOWN_HUB = ("Unknown `connection`, bad `taskHub`",)
_CONTROL = ("Suspend when suspended, resume when not (items 51, 52)",)
_STATUS_NAMES = ("`runtimeStatus` in queries (item 37)",)
_UNREADABLE = ("A date or `top` that cannot be read",)
_PLACE = ("A negative `top`, an `x-ms-continuation-token` of nobody",)
_PURGE = ("Purge by filter without a status (behaviour 96)",)
_INPUTS = ("Scalars, lists and text that HTTP callers send",)
_UNKNOWN = ("Unknown activity (behaviour 67)", "Unknown orchestrator")
_MISMATCH = ("A mismatch between code and history",)
_LISTS = (*_IDS, *_PLUS, *_INPUTS, *_UNKNOWN)

DIFFERENCES = (
    # ---- refused requests
    Difference(
        (4,),
        ("HTTP 500", _WRONG, "Unexpected end when deserializing object. Path 'a', line 1, position 6."),
        ("HTTP 400", "Invalid JSON content", "Expecting value: line 1 column 7 (char 6)"),
        "cut-off JSON is the caller's mistake",
        ("Cut-off JSON in a start",),
    ),
    Difference(
        (5,),
        ("Unexpected character encountered while parsing value: p. Path '', line 0, position 0.",),
        ("Expecting value: line 1 column 1 (char 0)",),
        "another JSON parser",
        _JSON,
    ),
    Difference(
        (154,),
        ("Unexpected end while parsing unquoted property name. Path '', line 1, position 5.",),
        ("Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",),
        "another JSON parser",
        _JSON,
    ),
    Difference(
        (157,),
        ("Error reading JToken from JsonReader. Path '', line 0, position 0.",),
        ("Expecting value: line 1 column 1 (char 0)",),
        "another JSON parser",
        _JSON,
    ),
    Difference(
        (213,),
        ("Unexpected end while parsing unquoted property name. Path '', line 1, position 5.",),
        ("Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",),
        "another JSON parser",
        _JSON,
    ),
    Difference(
        (16, 18, 19, 21, 25),
        ("HTTP 202", "statusQueryGetUri"),
        ("HTTP 400", "Orchestration instance ids must not"),
        "a new id is checked wherever an instance is started",
        _IDS,
        is_all=False,
    ),
    Difference(
        (20,),
        ("HTTP 404",),
        ("HTTP 400", "this one contains '/'"),
        "the original's web host takes %2F for a slash; here the rule is told",
        ("`%2F` in an id",),
        is_all=False,
    ),
    Difference((115,), ("HTTP 200", '"@st"'), ("HTTP 404",), "exchange 16 was refused", _IDS, is_all=False),
    Difference(
        (22,),
        ("instances/a+b",),
        ("instances/a%20b",),
        "a space in a link is %20, which every reader takes for a space",
        ("Links",),
    ),
    Difference(
        (26,),
        ("HTTP 409", "An Orchestration instance with the status Running already exists."),
        ("HTTP 202", '"a+b"'),
        "%2B is a plus, not a space: 'a+b' and 'a b' are two instances",
        _PLUS,
        is_all=False,
    ),
    Difference((121,), ('"a b"',), ('"a+b"',), "%2B is a plus, not a space", _PLUS),
    Difference(
        (35,),
        ("HTTP 500", _WRONG, "named 'Nope'."),
        ("HTTP 400", _INCORRECT, "named 'Nope'. connection must name an app setting that holds one"),
        "an unknown connection is the caller's mistake",
        _UNKNOWN_HUB,
    ),
    Difference(
        (37,),
        ("HTTP 500", _WRONG, "An error occurred while communicating with Azure Storage"),
        (
            "HTTP 400",
            _INCORRECT,
            "'a-b' is no name of a task hub: taskHub must be 3 to 45 letters and digits, a letter first",
        ),
        "a bad hub name is the caller's mistake",
        _UNKNOWN_HUB,
    ),
    Difference(
        (165,),
        ("HTTP 500", f'"Message": "{_WRONG}",\n "ExceptionMessage"'),
        ("HTTP 409", '"Message"'),
        "suspending twice is a conflict",
        _CONTROL,
    ),
    Difference(
        (169,),
        ("HTTP 500", f'"Message": "{_WRONG}",\n "ExceptionMessage"'),
        ("HTTP 409", '"Message"'),
        "resuming what is not suspended is a conflict",
        _CONTROL,
    ),
    Difference(
        (255,),
        ("HTTP 200",),
        ("HTTP 400", "createdTimeFrom must be a date and time"),
        "a date that cannot be read is not ignored",
        _UNREADABLE,
        is_all=False,
    ),
    Difference(
        (257,),
        ("HTTP 200",),
        ("HTTP 400", "top must be a whole number, 0 or more, not 'abc'"),
        "a number that cannot be read is not ignored",
        _UNREADABLE,
        is_all=False,
    ),
    Difference(
        (259,),
        ("Value cannot be null. (Parameter 'value')",),
        ("top must be a whole number, 0 or more, not '-1'",),
        "the recording shows a stand-in's text",
        _PLACE,
    ),
    Difference(
        (262,),
        ("HTTP 200", "[]"),
        ("HTTP 400", "the header x-ms-continuation-token must be the one of an earlier answer, or be left out"),
        "a token of nobody is not an empty list",
        _PLACE,
        is_all=False,
    ),
    Difference(
        (250,),
        ("HTTP 200", "86 items"),
        ("HTTP 200", "16 items"),
        "names of statuses count in any case; also the instances of 247",
        _STATUS_NAMES,
        is_all=False,
    ),
    Difference(
        (251,),
        ("HTTP 200",),
        ("HTTP 400", "'Nope' is no runtimeStatus; use Running, Completed,"),
        "an unknown status is not ignored",
        _STATUS_NAMES,
        is_all=False,
    ),
    Difference(
        (279,),
        ("HTTP 200", "instancesDeleted"),
        ("HTTP 400", "'Nope' is no runtimeStatus; use Running, Completed,"),
        "the original deletes everything, running instances too",
        (*_PURGE, *_STATUS_NAMES),
        is_all=False,
    ),
    Difference(
        (283,),
        ("HTTP 200", "instancesDeleted"),
        ("HTTP 400", "only finished instances can be purged"),
        "the original deletes running instances",
        _PURGE,
        is_all=False,
    ),
    # ---- inputs
    Difference(
        (50, 83, 84, 85, 86, 87, 88, 129, 131),
        ('"Failed"', "Orchestrator function '"),
        ('"Completed"', '"out": '),
        "get_input() returns JSON that is no text of the SDK as it is; there it fails",
        _INPUTS,
        is_all=False,
    ),
    Difference(
        (93, 94),
        ('"Failed"', "JSONDecodeError"),
        ('"Completed"', '"output": "plain"'),
        "get_input() returns JSON that is no text of the SDK as it is; there it fails",
        _INPUTS,
        is_all=False,
    ),
    Difference((215, 222), ("1000",), ("1007",), "the same for an entity's input: add 7 is carried out", _INPUTS),
    Difference((216, 234), ("null",), ('"a": [',), "the same: the entity is set to the object", _INPUTS, is_all=False),
    Difference((217,), ("null",), ('"words"',), "the same: the entity is set to the text", _INPUTS),
    Difference((219,), ("null",), ("1",), "the same: the entity counts", _INPUTS),
    Difference((223, 224), ("",), ('"key": "E4"',), "the same: these entities have a state", _INPUTS, is_all=False),
    Difference((225, 226), ('"state": 1000',), ('"state": 1007',), "the same", _INPUTS, is_all=False),
    Difference((227,), ('"key": "e1"',), ('"key": ""',), "the same: this one comes first", _INPUTS),
    Difference((228,), ('"key": "k1"',), ('"key": "E4"',), "the same: this one comes next", _INPUTS, is_all=False),
    Difference(
        (242, 244), ("Expecting value: line 1",), ('"out": "text"',), "the same, in a list", _INPUTS, is_all=False
    ),
    Difference((243,), ('"state": "null"',), ('"state": "1"',), "the same, in a list", _INPUTS, is_all=False),
    # ---- deleted entities
    Difference(
        (236,),
        ("HTTP 200", "null"),
        ("HTTP 404",),
        "a deleted entity does not exist",
        ("Deleted entities",),
        is_all=False,
    ),
    Difference(
        (237,),
        ('"key": "e1"',),
        ('"state": "words"',),
        "the deleted one is gone; the inputs",
        (*_INPUTS, "Deleted entities"),
        is_all=False,
    ),
    # ---- errors of orchestrations
    Difference(
        (72, 74),
        ('"Details": "{details}"',),
        ('"Details": null',),
        "no .NET exception is behind it",
        ("Failed children",),
    ),
    Difference(
        (97, 98, 99, 100),
        ("HTTP 202", '"Running"'),
        ("HTTP 200", "The function 'does_not_exist' doesn't exist"),
        "a call of an unknown function fails; there the instance runs for ever",
        _UNKNOWN,
        is_all=False,
    ),
    Difference(
        (101, 102, 103),
        ("already started running?",),
        ("already started running?\\nOrchestrator function 'nondet",),
        "the text tells position and usual causes; nothing that the wrong code decided is carried out",
        _MISMATCH,
        is_all=False,
    ),
    Difference(
        (104,),
        ("HTTP 400", "An item with the same key has already been added."),
        ("HTTP 200", "the code produced a call of activity 'square'"),
        "a history with a doubled number cannot come about here, and would be shown",
        _MISMATCH,
        is_all=False,
    ),
    Difference(
        (106,),
        ('"$type": "Microsoft.Azure.WebJobs.Extensions.DurableTask.RequestMessage', '"requestTime"'),
        ('"IsLockRequest": false', '"createTrace": false'),
        "requests to entities are written as DurableTask.Core writes them",
        ("Messages between orchestrations and entities",),
        is_all=False,
    ),
    # ---- lists
    Difference(
        (239, 240),
        ("86 items",),
        ("87 items",),
        "the instance of exchange 16 is not there; that of 26 and the unknown child are",
        _LISTS,
    ),
    Difference(
        (247,), ("21 items",), ("16 items",), "inputs that fail there, functions that fail here", _LISTS, is_all=False
    ),
    Difference((248, 249), ("23 items",), ("18 items",), "the same", _LISTS, is_all=False),
    # ---- the SDK's client
    Difference(
        (302,),
        ("HTTP 200", "rpcBaseUrl"),
        ("HTTP 500", "AttributeError"),
        "there is no second endpoint, and no binding that tells of it",
        ("Second endpoint for the SDK, `durableClient` binding (items 9, 64, 65, 66)",),
        is_all=False,
    ),
    Difference(
        (306,),
        ('"history": null',),
        ('"history": [',),
        "a history that was asked for is where the documentation says",
        ("`status.history`",),
        is_all=False,
    ),
    Difference(
        (307,),
        ("HTTP 500", "AttributeError"),
        ("HTTP 200", '"instanceId": null'),
        "the status of a missing instance can be written as JSON",
        ("`get_status(…).to_json()` of a missing instance",),
        is_all=False,
    ),
    Difference(
        (319,),
        ("The operation failed with an unexpected status code 400",),
        ("No instance with ID 'missing' found.",),
        "the text says what is wrong",
        ("`restart` of a missing instance",),
    ),
)
