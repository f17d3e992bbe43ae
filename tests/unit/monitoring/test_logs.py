import json
import logging
import os
import threading
import time

import jsonschema
import pytest
import structlog

from monitoring.line_writer import LineWriter
from monitoring.logs import Redactor, configure_logging, current_request_id
from monitoring.request_log import RequestLog, timestamp
from tests.unit.monitoring.calls import attempt, finished

LOG_LINE = {
    "type": "object",
    "required": [
        "timestamp", "level", "logger", "request_id", "message", "provider", "model", "tokens", "duration", "status_code",
        "key_id", "team", "attempts", "time_to_first_token", "input_tokens", "output_tokens", "cost_usd", "cache", "trace_id",
    ],
    "properties": {
        "timestamp": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"},
        "level": {"enum": ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]},
        "logger": {"type": "string", "pattern": r"^llm_proxy\.[a-z_]+\.[a-z_]+$"},
        "request_id": {"type": "string"},
        "message": {"type": "string"},
        "provider": {"type": "string"},
        "model": {"type": "string"},
        "tokens": {"type": "integer"},
        "duration": {"type": "number"},
        "status_code": {"type": "integer"},
        "attempts": {"type": "integer"},
        "time_to_first_token": {"type": ["number", "null"]},
        "cost_usd": {"type": ["number", "null"]},
        "cache": {"type": ["string", "null"]},
        "trace_id": {"type": ["string", "null"]},
    },
}  # fmt: skip


def line_of(call, **options) -> dict:
    lines: list[bytes] = []
    RequestLog(lines.append, **options).write([call])
    (line,) = lines
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    return json.loads(line)


# ------------------------------------------------------------------------------------------------- one line per request


def test_a_line_has_the_documented_shape():
    full = finished(
        input_tokens=100, output_tokens=50, cost_nano_usd=1_500_000, first_token_s=0.2, cache="miss", key_id=7, team="core",
        trace_id="ab" * 16, overhead_s=0.0003,
    )  # fmt: skip
    for call in (full, finished(), finished(status=503, error_type="no_provider_available", attempts=())):
        jsonschema.validate(line_of(call), LOG_LINE)
    line = line_of(full)
    assert (line["tokens"], line["cost_usd"], line["status_code"]) == (150, 0.0015, 200)
    assert line["timestamp"] == "2023-11-14T22:13:20.250Z"
    assert line["message"] == "Request completed successfully"


@pytest.mark.parametrize(
    ("status", "level"),
    [(200, "INFO"), (404, "WARNING"), (429, "WARNING"), (499, "INFO"), (500, "ERROR"), (504, "ERROR")],
)
def test_the_level_says_whose_fault_it_was(status, level):
    assert line_of(finished(status=status))["level"] == level


def test_failures_say_who_was_tried_and_how_it_ended():
    call = finished(provider="cohere", attempts=(attempt("openai", "timeout", status=504), attempt("cohere")))
    assert line_of(call)["failures"] == [{"provider": "openai", "outcome": "timeout", "status": 504}]
    assert "failures" not in line_of(finished())


def test_the_level_decides_which_calls_are_written():
    lines: list[bytes] = []
    log = RequestLog(lines.append, level=logging.WARNING)
    log.write([finished()])
    assert lines == []
    log.write([finished(status=500)])
    assert len(lines) == 1


def test_what_clients_choose_cannot_forge_a_line():
    nasty = 'x\n{"level":"ERROR"}\x1b[31m\r'
    lines: list[bytes] = []
    for console in (False, True):
        RequestLog(lines.append, console=console).write([finished(model=nasty, key_name=nasty)])
    for line in lines:
        assert line.count(b"\n") == 1
        assert b"\x1b" not in line
        assert b"\r" not in line


def test_times_are_written_once_a_second_and_right_every_time():
    assert timestamp(1_700_000_000.0) == "2023-11-14T22:13:20.000Z"
    assert timestamp(1_700_000_000.9996) == "2023-11-14T22:13:20.999Z"
    assert timestamp(1_700_000_001.5) == "2023-11-14T22:13:21.500Z"


# ---------------------------------------------------------------------------------------------------- the whole process


class Output:
    """A pipe in place of stdout, and logging configured to write there; what was before is put back."""

    def __init__(self, **options) -> None:
        self._read, self._write = os.pipe()
        root = logging.getLogger()
        self._before = (root.handlers[:], root.level)
        self.logs = configure_logging(descriptor=self._write, **options)

    def lines(self) -> list[str]:
        self.logs.flush()
        os.set_blocking(self._read, False)
        try:
            return os.read(self._read, 1 << 20).decode().splitlines()
        except BlockingIOError:
            return []

    def json(self) -> list[dict]:
        return [json.loads(line) for line in self.lines()]

    def close(self) -> None:
        self.logs.close()
        root = logging.getLogger()
        root.handlers[:], level = self._before
        root.setLevel(level)
        logging.getLogger("llm_proxy").setLevel(logging.NOTSET)
        for descriptor in (self._read, self._write):
            os.close(descriptor)
        structlog.reset_defaults()


@pytest.fixture
def output():
    output = Output(level="DEBUG")
    yield output
    output.close()


def test_every_library_writes_the_same_shape(output):
    for name in ("llm_proxy.routing.gateway", "uvicorn.error", "django.request", "celery.worker", "some.library"):
        logging.getLogger(name).warning("said %s", "something", extra={"provider": "openai"})
    lines = output.json()
    assert [line["logger"] for line in lines] == [
        "llm_proxy.routing.gateway", "uvicorn.error", "django.request", "celery.worker", "some.library",
    ]  # fmt: skip
    for line in lines:
        assert list(line)[:5] == ["timestamp", "level", "logger", "request_id", "message"]
        assert (line["level"], line["message"], line["provider"]) == ("WARNING", "said something", "openai")


def test_no_line_carries_the_colours_of_a_terminal(output):
    logging.getLogger("uvicorn.error").warning("Started %d", 7, extra={"color_message": "Started \x1b[36m%d\x1b[0m"})
    (line,) = output.json()
    assert (line["message"], "color_message" in line) == ("Started 7", False)


def test_a_server_that_is_away_is_told_by_libraries_without_a_stack_trace(output):
    for _ in range(3):
        try:
            raise ConnectionRefusedError("Connection refused")
        except ConnectionRefusedError:
            logging.getLogger("channels_redis.pubsub").exception("Unexpected exception in receive task")
    (line,) = output.json()
    assert line["message"] == "Unexpected exception in receive task: Connection refused"
    assert "exception" not in line


def test_structlog_and_logging_are_one(output):
    structlog.get_logger("llm_proxy.x").info("bound", number=3)
    (line,) = output.json()
    assert (line["message"], line["number"], line["level"]) == ("bound", 3, "INFO")


def test_the_request_id_is_on_every_line_of_its_work(output):
    token = current_request_id.set("req_abc")
    logging.getLogger("llm_proxy.a").info("inside")
    current_request_id.reset(token)
    logging.getLogger("llm_proxy.a").info("outside")
    assert [line["request_id"] for line in output.json()] == ["req_abc", None]


def test_debug_is_ours_alone(output):
    for name in (
        "llm_proxy.a",
        "httpx",
        "httpcore.http11",
        "websockets.server",
        "django.db.backends",
        "aiohttp.client",
    ):
        logging.getLogger(name).debug("headers and frames")
    assert [line["logger"] for line in output.json()] == ["llm_proxy.a"]


CANARIES = (
    "sk-canary-0123456789abcdef",
    "llmp-canary-0123456789abcdefghijklmnop",
    "Bearer canary.0123456789",
    "canary no pattern 42",
)


@pytest.mark.parametrize("canary", CANARIES)
def test_secrets_are_taken_out_wherever_they_are(output, canary):
    output.logs.protect(["canary no pattern 42", "x"])
    logger = logging.getLogger("llm_proxy.a")
    logger.info("in the message %s", canary)
    logger.info("in an extra", extra={"detail": {"authorization": canary}})
    try:
        raise ValueError(f"upstream said {canary}")
    except ValueError:
        logger.exception("in a traceback")
    text = "\n".join(output.lines())
    assert text.count("[redacted]") >= 3
    assert canary.removeprefix("Bearer ") not in text


def test_tracebacks_show_no_local_variables(output):
    def fails(prompt: str) -> None:
        raise RuntimeError("broken")

    try:
        fails(" ".join(["very", "private"]))
    except RuntimeError:
        logging.getLogger("llm_proxy.a").exception("failed")
    (line,) = output.json()
    assert "RuntimeError: broken" in line["exception"]
    assert "very private" not in json.dumps(line)


def test_protecting_short_texts_would_hide_words():
    redactor = Redactor()
    redactor.protect(["a", "", "api"])
    assert redactor.clean("an api call") == "an api call"


def test_a_log_file_gets_the_same_lines_and_can_change(tmp_path):
    output = Output(level="INFO")
    output.logs.set_file(str(tmp_path / "logs" / "proxy.log"))
    try:
        logging.getLogger("llm_proxy.a").info("first")
        output.logs.requests.write([finished()])
        output.lines()
        output.logs.set_file(str(tmp_path / "other.log"))
        logging.getLogger("llm_proxy.a").info("second")
        output.lines()
        output.logs.set_file("")
        logging.getLogger("llm_proxy.a").info("third")
        output.lines()
    finally:
        output.close()
    first = (tmp_path / "logs" / "proxy.log").read_text().splitlines()
    assert [json.loads(line)["message"] for line in first] == ["first", "Request completed successfully"]
    assert "second" in (tmp_path / "other.log").read_text()
    assert "third" not in (tmp_path / "other.log").read_text()


def test_a_log_file_that_cannot_be_written_is_reported_and_left_out(tmp_path):
    (tmp_path / "file").write_text("")
    output = Output(level="INFO")
    output.logs.set_file(str(tmp_path / "file" / "proxy.log"))
    try:
        (line,) = output.json()
    finally:
        output.close()
    assert "cannot be written" in line["message"]


def test_an_unknown_level_means_info(tmp_path):
    output = Output(level="LOUD", style="console")
    try:
        logging.getLogger("llm_proxy.a").debug("no")
        logging.getLogger("llm_proxy.a").info("yes")
        (line,) = output.lines()
    finally:
        output.close()
    assert line.endswith("llm_proxy.a: yes")


# ------------------------------------------------------------------------------------------------------ never blocking


def test_a_reader_that_stops_reading_blocks_nobody_and_is_told_what_was_lost():
    gate = threading.Event()
    written: list[bytes] = []

    def sink(data: bytes) -> None:
        gate.wait(5)
        written.append(data)

    writer = LineWriter(sink, buffer_bytes=1000)
    began = time.monotonic()
    for _ in range(100):
        writer.write(b"x" * 99 + b"\n")
    time.sleep(0.1)
    for _ in range(100):
        writer.write(b"y" * 99 + b"\n")
    assert time.monotonic() - began < 1
    assert writer.dropped > 0
    gate.set()
    writer.close()
    text = b"".join(written)
    assert text.count(b"\n") == 200 - writer.dropped + text.count(b"were dropped")
    assert b"log lines were dropped" in text


def test_lines_arrive_soon_and_in_order():
    written: list[bytes] = []
    writer = LineWriter(written.append)
    for number in range(1000):
        writer.write(b"%d\n" % number)
    deadline = time.monotonic() + 2
    while b"".join(written).count(b"\n") < 1000 and time.monotonic() < deadline:
        time.sleep(0.01)
    writer.close()
    assert [int(line) for line in b"".join(written).split()] == list(range(1000))
    assert len(written) < 20


def test_threads_lose_no_lines():
    written: list[bytes] = []
    writer = LineWriter(written.append)

    def talk() -> None:
        for _ in range(2000):
            writer.write(b"line\n")

    threads = [threading.Thread(target=talk) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    assert b"".join(written).count(b"\n") == 8000


def test_a_full_disk_or_closed_terminal_ends_nothing():
    def broken(data: bytes) -> None:
        raise OSError("no space left")

    writer = LineWriter(broken)
    writer.write(b"x\n")
    writer.flush()
    writer.close()


def test_a_reader_that_stands_still_does_not_keep_a_program_from_ending():
    goes_on = threading.Event()
    written: list[bytes] = []

    def stuck(data: bytes) -> None:
        goes_on.wait(20)
        written.append(data)

    writer = LineWriter(stuck)
    writer.write(b"first\n")
    time.sleep(0.2)
    writer.write(b"second\n")
    began = time.monotonic()
    writer.flush(0.1)
    assert time.monotonic() - began < 5
    assert written == []
    goes_on.set()
    writer.close()
    assert b"".join(written) == b"first\nsecond\n"
