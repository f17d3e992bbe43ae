"""Logging of the whole process: our loggers, Django's, uvicorn's and Celery's, in one shape, to stdout and a file.

    logs = configure_logging(level="INFO", style="json")   # once, before anything is started
    logs.requests.write(call)                              # one line for each call
    logs.set_file("logs/proxy.log"); logs.protect(secrets); logs.close()

Secrets stay out in three ways: what is logged is chosen field by field; the loggers of libraries that print headers,
frames, queries or parameters never go below WARNING; and every text is searched for what looks like a key, and for the
very secrets in use, before it is written. Tracebacks carry no local variables.
"""

import logging
import re
import sys
import warnings
from collections.abc import Iterable
from contextvars import ContextVar
from pathlib import Path

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from monitoring.line_writer import LineWriter, RotatingFile, write_all
from monitoring.outage_lines import OutageLines
from monitoring.request_log import RequestLog, printable
from providers.dialects.redaction import redact

current_request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Set by whoever begins to work on a request, Celery tasks included: every line logged meanwhile carries it."""

# What these say at INFO or DEBUG holds URLs with queries, headers, frames, SQL parameters or task arguments.
TALKATIVE = (
    "httpx", "httpcore", "httpx2", "websockets", "aiohttp", "urllib3", "hpack", "redis", "kombu", "amqp", "daphne", "parso",
    "django.db.backends", "django.template", "django.utils.autoreload", "celery.worker.strategy", "celery.beat",
    "celery.app.trace", "celery.utils.functional", "uvicorn.access", "asyncio", "opentelemetry", "kubernetes", "markdown_it",
)  # fmt: skip
OWN = "llm_proxy"
LONGEST_TEXT = 16_000
NEVER_SEARCHED = frozenset({"timestamp", "level", "logger", "request_id"})


class Redactor:
    """A structlog processor. `protect` names the secrets in use; short ones are left out, they would match words."""

    SHORTEST = 8

    def __init__(self) -> None:
        self._secrets: re.Pattern[str] | None = None

    def protect(self, secrets: Iterable[str]) -> None:
        known = sorted({secret for secret in secrets if len(secret) >= self.SHORTEST}, key=len, reverse=True)
        self._secrets = re.compile("|".join(map(re.escape, known))) if known else None

    def clean(self, text: str) -> str:
        if self._secrets is not None:
            text = self._secrets.sub("[redacted]", text)
        return redact(text, limit=LONGEST_TEXT)

    def __call__(self, logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
        for key, value in event.items():
            if key in NEVER_SEARCHED or isinstance(value, int | float | None):
                continue
            event[key] = self.clean(value if isinstance(value, str) else str(value))
        return event


class BufferedHandler(logging.Handler):
    """Hands formatted lines to the writer's thread."""

    def __init__(self, writer: LineWriter) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record).encode("utf-8", "replace") + b"\n"
        except Exception:
            self.handleError(record)
            return
        self._writer.write(line)


class Logs:
    """The process's logging, configured. Made by `configure_logging`."""

    def __init__(
        self, *, writer: LineWriter, handler: logging.Handler, redactor: Redactor, requests: RequestLog
    ) -> None:
        self.requests = requests
        self._writer = writer
        self._handler = handler
        self._redactor = redactor
        self.log_file = ""

    def protect(self, secrets: Iterable[str]) -> None:
        """From now on these texts appear in no line. Call it with every new routing table."""
        self._redactor.protect(secrets)

    def set_level(self, level: str) -> None:
        number = level_number(level)
        logging.getLogger().setLevel(max(number, logging.INFO))
        logging.getLogger(OWN).setLevel(number)
        for name in TALKATIVE:
            logging.getLogger(name).setLevel(max(number, logging.WARNING))
        self.requests.level = number

    def set_file(self, path: str) -> None:
        """Also write to this file, rotated; empty: no file. A file that cannot be opened is reported and left out."""
        if path == self.log_file:
            return
        self.log_file = path
        old, self._writer.file = self._writer.file, None
        if old is not None:
            old.close()
        if not path:
            return
        try:
            self._writer.file = RotatingFile(Path(path))
        except OSError as error:
            logging.getLogger("llm_proxy.monitoring.logs").error(
                "log_file %s cannot be written: %s", path, error.strerror
            )

    def flush(self) -> None:
        self._writer.flush()

    def close(self) -> None:
        """Writes what is left and takes the handler away."""
        logging.getLogger().removeHandler(self._handler)
        logging.captureWarnings(False)
        self._writer.close()


def configure_logging(*, level: str = "INFO", style: str = "json", descriptor: int | None = None) -> Logs:
    """Takes over the root logger. `descriptor` is where lines go: stdout, unless told otherwise."""
    descriptor = sys.stdout.fileno() if descriptor is None else descriptor
    console = style == "console"
    writer = LineWriter(write_all(descriptor), lost_line=_lost_line)
    redactor = Redactor()
    handler = BufferedHandler(writer)
    handler.setFormatter(_formatter(redactor, console=console))
    handler.addFilter(OutageLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    _let_all_propagate()
    logging.captureWarnings(True)
    # Static files and downloads are read in a thread, piece by piece, which is what Django warns of.
    warnings.filterwarnings("ignore", "StreamingHttpResponse must consume synchronous iterators")
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    requests = RequestLog(writer.write, console=console)
    logs = Logs(writer=writer, handler=handler, redactor=redactor, requests=requests)
    logs.set_level(level)
    return logs


def level_number(level: str) -> int:
    """INFO for a name that is none: a typing mistake must not silence a gateway."""
    number = logging.getLevelNamesMapping().get(level.upper())
    return logging.INFO if number is None else number


def _let_all_propagate() -> None:
    """Libraries that brought handlers of their own lose them; lines would appear twice, and unsearched."""
    for name in list(logging.root.manager.loggerDict):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


def _shared() -> list[Processor]:
    return [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ExtraAdder(),
        _without_what_repeats,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_request_id,
    ]


def _without_what_repeats(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    """Django adds the request itself to what it logs: as text, its path with the query, where people put secrets. uvicorn
    adds its message once more, with the codes of a terminal's colours."""
    event.pop("request", None)
    event.pop("color_message", None)
    return event


def _formatter(redactor: Redactor, *, console: bool) -> logging.Formatter:
    render: Processor = _console if console else _json
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_shared(),
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            redactor,
            render,
        ],
    )


def _add_request_id(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    if request_id := current_request_id.get():
        event.setdefault("request_id", request_id)
    return event


def _json(logger: WrappedLogger, name: str, event: EventDict) -> str:
    ordered = {
        "timestamp": event.pop("timestamp"),
        "level": str(event.pop("level")).upper(),
        "logger": event.pop("logger"),
        "request_id": event.pop("request_id", None),
        "message": event.pop("event"),
        **event,
    }
    return orjson.dumps(ordered, default=str).decode()


def _console(logger: WrappedLogger, name: str, event: EventDict) -> str:
    at, level, source, text = (event.pop(key) for key in ("timestamp", "level", "logger", "event"))
    exception = event.pop("exception", "")
    extras = "".join(f" {key}={printable(str(value))}" for key, value in event.items() if value)
    head = f"{at[:23]}Z {str(level).upper():<7} {source}: {printable(str(text))}{extras}"
    return f"{head}\n{exception}" if exception else head


def _lost_line(count: int) -> bytes:
    fields = {"level": "ERROR", "logger": "llm_proxy.monitoring.logs", "message": f"{count} log lines were dropped"}
    return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)
