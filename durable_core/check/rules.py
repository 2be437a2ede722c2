"""The rules, and the names of the standard library and of well-known packages that break them: tables only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """One constraint on orchestrator code.

    Attributes:
        name: what a comment ``# durable: ignore[name]`` switches off.
        finds: what is found, for the documentation.
        why: the end of the sentence "X …" in a finding.
        instead: what to write instead.
        is_strict: only reported with ``--strict``.
    """

    name: str
    finds: str
    why: str
    instead: str
    is_strict: bool = False


RULES = {
    rule.name: rule
    for rule in (
        # ---- the code constraints of Durable Functions -------------------------------------------------------------
        Rule(
            "clock",
            "`datetime.now()`, `date.today()`, `time.time()`, `time.monotonic()`, …",
            "reads the clock, which is different on every replay",
            "use context.current_utc_datetime",
        ),
        Rule(
            "uuid",
            "`uuid.uuid1()`, `uuid.uuid4()`, …",
            "makes another id on every replay",
            "use context.new_uuid() or context.new_guid()",
        ),
        Rule(
            "random",
            "`random.*`, `secrets.*`, `os.urandom()`, `numpy.random.*` (a generator with a fixed seed is fine)",
            "gives another value on every replay",
            "draw random values in an activity and use its result, or seed a random.Random(...) with something fixed",
        ),
        Rule(
            "binding",
            "input and output bindings on an orchestrator, a durable client made in one",
            "does input or output that a replay repeats",
            "use bindings in activities and client functions; start and signal others through the context",
        ),
        Rule(
            "global-state",
            "module variables that functions change, mutable defaults, attributes of modules and classes set in code",
            "is state of this process, which a replay finds changed, and another worker does not have",
            "keep state in local variables, in the input of continue_as_new, or in an entity",
        ),
        Rule(
            "environment",
            "`os.environ`, `os.getenv()`, `sys.argv`, host name, process id, working directory, `hash()`, `id()`",
            "may differ on another worker, or after the next deployment",
            "pass it in the orchestration's input, or read it in an activity",
        ),
        Rule(
            "network",
            "`requests`, `urllib.request`, `httpx`, `aiohttp`, `socket`, database and Azure SDK clients, …",
            "uses the network, again on every replay and with another outcome",
            "use context.call_http, or call an activity",
        ),
        Rule(
            "file",
            "`open()`, `pathlib.Path(...).read_text()`, `os.listdir()`, `shutil.*`, `tempfile.*`, …",
            "uses the file system, which differs between replays and workers",
            "read and write files in an activity",
        ),
        Rule(
            "process",
            "`subprocess.*`, `os.system()`, `os.fork()`, …",
            "starts a process, again on every replay",
            "start processes in an activity",
        ),
        Rule(
            "blocking",
            "`time.sleep()`, `input()`, `select.select()`, …",
            "blocks the worker, again on every replay",
            "wait with yield context.create_timer(context.current_utc_datetime + timedelta(...))",
        ),
        Rule(
            "async",
            "`async def` orchestrators, `await`, `async for`, `async with`, `asyncio.*`",
            "waits for something that is no durable task",
            "write def and yield durable tasks; do asynchronous work in an activity",
        ),
        Rule(
            "thread",
            "`threading.*`, `multiprocessing.*`, `concurrent.futures.*`",
            "runs code beside the orchestrator, in an order that no replay repeats",
            "run work in parallel with context.task_all([context.call_activity(...), ...])",
        ),
        Rule(
            "infinite-loop",
            "`while True` and `for … in itertools.count()` without exit and without `continue_as_new`",
            "never ends, so the history grows for ever",
            "return after context.continue_as_new(...), or give the loop an end",
        ),
        Rule(
            "set-order",
            "loops over a `set`",
            "has another order in every process",
            "loop over sorted(...) or a list",
        ),
        # ---- other mistakes ----------------------------------------------------------------------------------------
        Rule(
            "replaying",
            "durable calls and `yield` that depend on `context.is_replaying`",
            "makes the replay decide something else than the first run did",
            "use is_replaying for logging only",
        ),
        Rule(
            "yield-list",
            "`yield` of a list, tuple or comprehension",
            "is no durable task",
            "yield context.task_all([...]) or context.task_any([...])",
        ),
        Rule(
            "yield-from",
            "`yield helper(...)`, or a bare `helper(...)`, where `helper` is a generator of the module",
            "gives a generator, and its body never runs",
            "write yield from",
        ),
        Rule(
            "unyielded",
            "`task_all` or `task_any` without `yield`; in apps of `azure.durable_functions` any task that is never "
            "yielded",
            "is never waited for",
            "yield the task",
        ),
        Rule(
            "task-value",
            "a task used as if it were its result, e.g. `context.call_activity(...)[0]`, or returned by the "
            "orchestrator",
            "is a task, not its result",
            "yield the task and use what yield returns",
        ),
        Rule(
            "activity-call",
            "an activity, or another function with a trigger, called like an ordinary function",
            "runs again on every replay",
            "write yield context.call_activity(...)",
        ),
        Rule(
            "log",
            "`print()`, `logging.*` that is not behind `if not context.is_replaying`",
            "is repeated by every replay",
            "log with context.create_replay_safe_logger(logger)",
            is_strict=True,
        ),
        # ---- about the check itself --------------------------------------------------------------------------------
        Rule("syntax", "a file that is no Python", "cannot be read", "correct the file"),
        Rule(
            "unused-ignore",
            "comments `# durable: ignore[...]` that switch nothing off",
            "switches nothing off",
            "remove it, or name one of the rules",
            is_strict=True,
        ),
    )
}


def _table(rules: dict[str, str]) -> dict[str, str]:
    return {name: rule for rule, names in rules.items() for name in names.split()}


NAMES = _table(
    {
        "clock": """
            datetime.datetime.now datetime.datetime.utcnow datetime.datetime.today datetime.date.today
            time.time time.time_ns time.monotonic time.monotonic_ns time.perf_counter time.perf_counter_ns
            time.process_time time.process_time_ns time.thread_time time.thread_time_ns time.clock_gettime
            time.clock_gettime_ns time.localtime time.gmtime time.ctime time.asctime time.strftime
            pandas.Timestamp.now pandas.Timestamp.today pandas.Timestamp.utcnow
            arrow.now arrow.utcnow pendulum.now pendulum.today pendulum.tomorrow pendulum.yesterday
            django.utils.timezone.now email.utils.localtime email.utils.formatdate
            """,
        "uuid": "uuid.uuid1 uuid.uuid4 uuid.uuid6 uuid.uuid7 uuid.getnode uuid6.uuid6 uuid6.uuid7 ulid.ULID ulid.new",
        "random": "random.Random random.SystemRandom os.urandom os.getrandom numpy.random.default_rng",
        "environment": """
            os.environ os.environb os.getenv os.getenvb os.getpid os.getppid os.getcwd os.getcwdb os.getlogin
            os.cpu_count os.getloadavg os.uname os.getuid sys.argv sys.platform sys.executable sys.path
            getpass.getuser socket.gethostname socket.getfqdn builtins.hash builtins.id locale.getlocale
            dotenv.load_dotenv dotenv.dotenv_values decouple.config
            """,
        "file": """
            builtins.open io.open io.open_code codecs.open
            os.open os.listdir os.scandir os.walk os.fwalk os.stat os.lstat os.access os.remove os.unlink os.rename
            os.renames os.replace os.mkdir os.makedirs os.rmdir os.removedirs os.link os.symlink os.readlink
            os.truncate os.utime os.chmod os.chown os.mkfifo os.path.exists os.path.lexists os.path.isfile
            os.path.isdir os.path.islink os.path.ismount os.path.getsize os.path.getmtime os.path.getatime
            os.path.getctime os.path.realpath os.path.samefile os.path.abspath os.path.expanduser
            pathlib.Path.cwd pathlib.Path.home fileinput.input linecache.getline
            """,
        "process": """
            os.system os.popen os.fork os.forkpty os.kill os.killpg os.abort os.startfile os.posix_spawn
            os.posix_spawnp os.execl os.execle os.execlp os.execlpe os.execv os.execve os.execvp os.execvpe
            os.spawnl os.spawnle os.spawnlp os.spawnv os.spawnve os.spawnvp pty.spawn
            """,
        "blocking": """
            time.sleep builtins.input builtins.breakpoint getpass.getpass os.wait os.waitpid os.wait3 os.wait4
            select.select select.poll select.epoll signal.pause signal.sigwait signal.alarm
            """,
        "thread": "os.register_at_fork threading.local contextvars.ContextVar",
        "binding": """
            durable_core.DurableOrchestrationClient durable_core.SyncDurableFunctionsClient
            azure.durable_functions.DurableOrchestrationClient
            """,
        "log": "builtins.print pprint.pprint warnings.warn",
    }
)
"""Names by rule: wherever one of them is used, called or not."""

MODULES = _table(
    {
        "random": "random secrets numpy.random",
        "network": """
            requests urllib.request urllib3 http.client httpx httplib2 aiohttp websocket websockets socket socketserver
            ssl smtplib ftplib imaplib poplib nntplib telnetlib xmlrpc.client grpc paramiko boto3 botocore
            azure.storage azure.data azure.cosmos azure.servicebus azure.eventhub azure.eventgrid azure.keyvault
            azure.identity azure.mgmt azure.search azure.ai google.cloud openai anthropic redis pymongo motor
            psycopg psycopg2 asyncpg pymysql MySQLdb mysql.connector pyodbc pymssql oracledb cx_Oracle sqlalchemy
            snowflake.connector elasticsearch kafka confluent_kafka pika stripe twilio sendgrid
            """,
        "file": "shutil tempfile glob sqlite3 dbm shelve zipfile tarfile fileinput",
        "process": "subprocess sh plumbum",
        "thread": "threading multiprocessing concurrent.futures _thread queue sched joblib",
        "async": "asyncio anyio trio curio",
        "log": "logging loguru structlog",
    }
)
"""Modules by rule: whatever of them is called."""

METHODS = _table(
    {
        "file": """
            absolute chmod cwd exists expanduser glob group hardlink_to home is_dir is_file is_mount is_symlink iterdir
            lchmod lstat mkdir open owner read_bytes read_text readlink rename replace resolve rglob rmdir samefile stat
            symlink_to touch unlink walk write_bytes write_text
            """,
    }
)
"""Methods of ``pathlib.Path`` objects that touch the file system."""

PATHS = frozenset({"pathlib.Path", "pathlib.PosixPath", "pathlib.WindowsPath"})

HARMLESS = frozenset(
    {"logging.getLogger", "logging.getLevelName", "asyncio.iscoroutine", "asyncio.iscoroutinefunction"}
)

DETERMINISTIC_WITH = {
    "random.Random": 1,
    "numpy.random.default_rng": 1,
    "numpy.random.SeedSequence": 1,
    "time.localtime": 1,
    "time.gmtime": 1,
    "time.ctime": 1,
    "time.asctime": 1,
    "time.strftime": 2,
    "email.utils.formatdate": 1,
    "email.utils.localtime": 1,
}
"""Calls that are fine with at least so many arguments: they work on what they are given."""

ENDLESS = {"itertools.count": None, "itertools.cycle": None, "itertools.repeat": 2}
"""Iterators without end; with as many arguments as given here they do end."""

MUTATORS = frozenset(
    {
        "add",
        "append",
        "appendleft",
        "clear",
        "difference_update",
        "discard",
        "extend",
        "extendleft",
        "insert",
        "intersection_update",
        "pop",
        "popitem",
        "popleft",
        "remove",
        "reverse",
        "setdefault",
        "sort",
        "symmetric_difference_update",
        "update",
    }
)
"""Methods that change a list, dict, set or deque."""

TASKS = frozenset(
    {
        "call_activity",
        "call_activity_with_retry",
        "call_sub_orchestrator",
        "call_sub_orchestrator_with_retry",
        "call_http",
        "call_entity",
        "create_timer",
        "wait_for_external_event",
    }
)
"""Methods of the context that return one task."""

COMPOUNDS = frozenset({"task_all", "task_any", "when_all", "when_any"})

DURABLE = TASKS | COMPOUNDS | frozenset({"signal_entity", "continue_as_new", "start_new_orchestrator", "send_event"})
"""Methods of the context that decide something."""
