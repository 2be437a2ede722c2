"""For every rule, orchestrator code that breaks it and code that does not; imports come first, then the body."""

from __future__ import annotations

BAD: dict[str, list[str]] = {
    "clock": [
        "from datetime import datetime as dt\n---\nyield context.call_activity('a', dt.now())",
        "import datetime\n---\nnow = datetime.datetime.utcnow\nreturn now()",
        "import time as clock\n---\nreturn clock.time()",
        "from time import *\n---\nreturn monotonic()",
        "import time\n---\nreturn time.strftime('%Y')",
        "from datetime import date\nSTARTED = date.today()\n---\nreturn STARTED",
        "from datetime import datetime\n---\nreturn sorted([1], key=lambda item: datetime.now())",
        "from datetime import datetime\n---\nreturn [datetime.now() for _ in range(3)]",
        "---\nfrom datetime import datetime\nreturn datetime.now()",
    ],
    "uuid": [
        "import uuid\n---\nreturn str(uuid.uuid4())",
        "from uuid import uuid1 as make\n---\ndef inner():\n    return make()\nreturn inner()",
    ],
    "random": [
        "import random\n---\nreturn random.randint(1, 6)",
        "from secrets import token_hex\n---\nreturn token_hex()",
        "import numpy as np\n---\nreturn np.random.rand()",
        "import random\n---\nreturn random.Random().random()",
        "import os\n---\nreturn os.urandom(8)",
        "import random\n---\nreturn sorted([1, 2], key=random.random)",
    ],
    "binding": [
        "import durable_core\n---\nclient = durable_core.DurableOrchestrationClient(None)\nreturn client",
    ],
    "global-state": [
        "COUNT = 0\n---\nglobal COUNT\nCOUNT += 1",
        "CACHE = {}\n---\nCACHE['x'] = 1",
        "SEEN = []\n---\nSEEN.append(1)",
        "CACHE = {}\ndef fill():\n    CACHE['a'] = 1\n---\nreturn CACHE.get('a')",
        "class Config:\n    level = 1\n---\nConfig.level = 2",
        "import itertools\nNUMBERS = itertools.count()\n---\nreturn next(NUMBERS)",
        "def helper(seen=[]):\n    seen.append(1)\n    return seen\n---\nreturn helper()",
    ],
    "environment": [
        "import os\n---\nreturn os.environ['REGION']",
        "from os import getenv as setting\n---\nreturn setting('REGION')",
        "import os\nREGION = os.environ['REGION']\n---\nreturn REGION",
        "---\nreturn hash('text')",
        "import socket\n---\nreturn socket.gethostname()",
    ],
    "network": [
        "import requests\n---\nreturn requests.get('http://example.org').json()",
        "from urllib.request import urlopen\n---\nreturn urlopen('http://example.org').read()",
        "import httpx as http\n---\nwith http.Client() as client:\n    return client.get('http://example.org').text",
        "from azure.storage.blob import BlobServiceClient\nSTORE = BlobServiceClient('x')\n---\nreturn STORE.list()",
    ],
    "file": [
        "---\nwith open('a.txt') as file:\n    return file.read()",
        "from pathlib import Path\n---\nreturn Path('a.txt').read_text()",
        "from pathlib import Path\n---\nfolder = Path('a')\nreturn folder.exists()",
        "import os.path\n---\nreturn os.path.exists('a')",
        "import shutil\n---\nshutil.rmtree('a')",
    ],
    "process": [
        "import subprocess\n---\nsubprocess.run(['ls'])",
        "import os\n---\nos.system('ls')",
    ],
    "blocking": [
        "import time\n---\ntime.sleep(5)",
        "---\nreturn input('name? ')",
        "from time import sleep as pause\ndef wait():\n    pause(1)\n---\nwait()",
    ],
    "async": [
        "import asyncio\n---\nasyncio.run(None)",
        "---\nasync def inner():\n    await context.call_activity('a')\nreturn 1",
    ],
    "thread": [
        "import threading\n---\nthreading.Thread(target=print).start()",
        "from concurrent.futures import ThreadPoolExecutor\n---\nwith ThreadPoolExecutor() as pool:\n    return 1",
    ],
    "infinite-loop": [
        "---\nwhile True:\n    yield context.call_activity('poll')",
        "import itertools\n---\nfor number in itertools.count():\n    yield context.call_activity('poll', number)",
        "---\nwhile 1:\n    for item in [1, 2]:\n        break\n    yield context.call_activity('poll')",
    ],
    "set-order": [
        "---\nfor item in {'a', 'b'}:\n    yield context.call_activity('a', item)",
        "---\nnames = set(context.get_input())\nreturn [name for name in names]",
        "---\nfor number, item in enumerate(list(set('abc'))):\n    yield context.call_activity('a', item)",
    ],
    "replaying": [
        "---\nif not context.is_replaying:\n    yield context.call_activity('a')",
        "---\nif context.is_replaying:\n    pass\nelse:\n    context.signal_entity('e', 'op')",
    ],
    "yield-list": [
        "---\nyield [context.call_activity('a'), context.call_activity('b')]",
        "---\nyield [context.call_activity('a', item) for item in range(3)]",
        "---\nyield context.call_activity('a'), context.call_activity('b')",
    ],
    "yield-from": [
        "def helper(context):\n    yield context.call_activity('a')\n---\nyield helper(context)",
        "def helper(context):\n    yield context.call_activity('a')\n---\nhelper(context)",
    ],
    "unyielded": [
        "---\ncontext.task_all([context.call_activity('a')])",
    ],
    "task-value": [
        "---\nreturn context.call_activity('a')[0]",
        "---\nif context.call_activity('a'):\n    return 1",
        "---\nfor item in context.call_activity('a'):\n    pass",
        "---\nreturn context.call_activity('a')",
        "---\nreturn f\"{context.call_activity('a')}\"",
    ],
    "activity-call": [
        "@bp.activity_trigger(input_name='x')\ndef act(x):\n    return x\n---\nreturn act(1)",
    ],
    "log": [
        "---\nprint('here')",
        "import logging\n---\nlogging.info('here')",
        "import logging\nlogger = logging.getLogger(__name__)\n---\nlogger.info('here')",
    ],
}
"""Parts are divided by a line of three dashes: the module's code, and the body of the orchestrator."""

GOOD: dict[str, list[str]] = {
    "clock": [
        "from datetime import datetime, timedelta\n---\nreturn context.current_utc_datetime + timedelta(hours=1)",
        "import datetime\n---\nreturn datetime.datetime.fromisoformat('2026-01-01')",
        "import time\n---\nreturn time.strftime('%Y', time.gmtime(0))",
        "---\ntime = context.get_input()\nreturn time.time()",
        "def later():\n    import time\n    return time.time()\n---\nreturn 1",
        "from datetime import datetime\n---\nmoment: datetime = context.current_utc_datetime\nreturn str(moment)",
        "import time\n@bp.activity_trigger(input_name='x')\ndef act(x):\n    return time.time()\n---\n"
        "return (yield context.call_activity(act, 1))",
        "import time\n@bp.route(route='x')\n@bp.durable_client_input(client_name='client')\n"
        "async def begin(req, client):\n    time.sleep(1)\n---\nreturn 1",
        "import time\nclass Unused:\n    def now(self):\n        return time.time()\n---\nreturn 1",
    ],
    "uuid": [
        "---\nreturn context.new_uuid()",
        "import uuid\n---\nreturn str(uuid.uuid5(uuid.NAMESPACE_URL, context.instance_id))",
    ],
    "random": ["import random\n---\nreturn random.Random(7).random()", "---\nrandom = 5\nreturn random"],
    "binding": ["---\nyield context.call_activity('a')"],
    "global-state": [
        "LIMITS = {'a': 1}\n---\nreturn LIMITS['a']",
        "---\nseen = []\nseen.append(1)\nreturn seen",
        "---\ncount = 0\ndef add():\n    nonlocal count\n    count += 1\nadd()\nreturn count",
    ],
    "environment": ["---\nreturn context.get_input()['region']", "---\nid = 5\nreturn id"],
    "network": [
        "---\nreturn (yield context.call_http('GET', 'http://example.org'))",
        "import requests\n---\ntry:\n    yield context.call_activity('a')\nexcept requests.HTTPError:\n    return 1",
    ],
    "file": [
        "from pathlib import PurePosixPath\n---\nreturn str(PurePosixPath('a') / 'b')",
        "---\ntext = context.get_input()\nreturn text.replace('a', 'b')",
    ],
    "process": ["---\nyield context.call_activity('run')"],
    "blocking": ["from datetime import timedelta\n---\nyield context.create_timer(context.current_utc_datetime)"],
    "async": ["---\nyield context.call_activity('a')"],
    "thread": ["---\nyield context.task_all([context.call_activity('a') for _ in range(3)])"],
    "infinite-loop": [
        "---\nwhile True:\n    done = yield context.call_activity('poll')\n    if done:\n        break",
        "---\nwhile True:\n    if (yield context.call_activity('poll')):\n        return 1",
        "---\nwhile True:\n    context.continue_as_new(1)\n    yield context.call_activity('a')",
        "---\nwhile context.get_input():\n    yield context.call_activity('poll')",
        "import itertools\n---\nfor item in itertools.repeat('a', 3):\n    yield context.call_activity(item)",
    ],
    "set-order": [
        "---\nfor item in sorted({'b', 'a'}):\n    yield context.call_activity('a', item)",
        "---\nreturn 'a' in {'a', 'b'}",
    ],
    "replaying": [
        "---\nif not context.is_replaying:\n    context.set_custom_status('x')\nyield context.call_activity('a')"
    ],
    "yield-list": [
        "---\nyield context.task_all([context.call_activity('a')])",
        "def parts():\n    yield [1, 2]\n---\nreturn list(parts())",
    ],
    "yield-from": [
        "def helper(context):\n    yield context.call_activity('a')\n---\nreturn (yield from helper(context))",
        "def helper(context):\n    return context.call_activity('a')\n---\nreturn (yield helper(context))",
    ],
    "unyielded": [
        "---\ncontext.call_activity('fire and forget')\nyield context.call_activity('a')",
        "---\nboth = context.task_all([])\nyield both",
        "---\ncontext.signal_entity('e', 'op')",
    ],
    "task-value": [
        "---\nreturn (yield context.call_activity('a'))[0]",
        "def helper(context):\n    return context.call_activity('a')\n---\nreturn (yield helper(context))",
        "---\nwinner = yield context.task_any([])\nreturn winner is context.call_activity('a')",
    ],
    "activity-call": [
        "@bp.activity_trigger(input_name='x')\ndef act(x):\n    return x\n---\nyield context.call_activity(act)",
    ],
    "log": [
        "import logging\n---\nif not context.is_replaying:\n    logging.info('here')",
        "import logging\n---\nlogger = context.create_replay_safe_logger(logging.getLogger())\nlogger.info('here')",
    ],
}


def source(example: str, *, library: str = "durable_core") -> str:
    """A module with one orchestrator."""
    before, _, body = ("\n" + example).partition("\n---\n")
    lines = [f"    {line}" for line in body.splitlines()]
    return "\n".join(
        [
            f"import {library} as df",
            "bp = df.Blueprint()",
            before,
            "@bp.orchestration_trigger(context_name='context')",
            "def under_test(context):",
            *lines,
            "",
        ]
    )
