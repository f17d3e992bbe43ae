"""Runs every case of tests/golden (see its README) through the adapter of its provider kind."""

import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson
import pytest

from providers.adapters import adapter_for
from providers.adapters.base import Adapter, ClientStream
from providers.errors import UpstreamError
from providers.specs import DeploymentSpec, ProviderSpec
from providers.transport import Endpoint
from providers.types import ClientRequest, Operation, Usage
from routing.errors import error_body

ROOT = Path(__file__).resolve().parents[2] / "golden"
WRITING = bool(os.environ.get("GOLDEN_WRITE"))
NOW_S = 1_790_000_000

FOLDERS = sorted(path.parent for path in ROOT.glob("*/*/request.json"))


@dataclass
class Case:
    folder: Path

    def has(self, name: str) -> bool:
        return (self.folder / name).exists()

    def json(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text(encoding="utf-8"))

    def expect(self, name: str, actual: Any) -> None:
        """Compares with the file, as JSON or (for frames) as text; writes a missing file when asked to."""
        path = self.folder / name
        if WRITING and not path.exists():
            text = actual if isinstance(actual, str) else json.dumps(actual, indent=1, ensure_ascii=False) + "\n"
            path.write_text(text, encoding="utf-8")
        if isinstance(actual, str):
            assert frames(actual) == frames(path.read_text(encoding="utf-8"))
        else:
            assert actual == self.json(name)

    @cached_property
    def facts(self) -> dict[str, Any]:
        defaults = self.folder.parent / "defaults.json"
        facts = json.loads(defaults.read_text(encoding="utf-8")) if defaults.exists() else {}
        return {**facts, **(self.json("case.json") if self.has("case.json") else {})}

    @cached_property
    def adapter(self) -> Adapter:
        return adapter_for(self.facts.get("kind", "openai"))

    @cached_property
    def request(self) -> ClientRequest:
        body = self.json("request.json")
        return ClientRequest(
            operation=Operation(self.facts.get("operation", "chat/completions")),
            model=body["model"],
            body=body,
            stream=bool(body.get("stream")),
            include_usage=bool((body.get("stream_options") or {}).get("include_usage")),
            received_at_s=NOW_S,
        )

    @cached_property
    def serving(self) -> Adapter:
        return self.adapter.serving(self.request, self.deployment)

    @cached_property
    def deployment(self) -> DeploymentSpec:
        provider = ProviderSpec(
            id=1,
            name=self.facts.get("provider", self.adapter.kind),
            kind=self.adapter.kind,
            endpoint=Endpoint(scheme="https", host=self.facts.get("host", "upstream.test"), port=443),
            base_path=self.facts.get("base_path", ""),
            options=self.facts.get("options", {}),
        )
        extra = dict(self.facts.get("deployment", {}))
        extra["capabilities"] = frozenset(extra.get("capabilities", ()))
        return DeploymentSpec(
            id=1,
            provider=provider,
            model=self.request.model,
            upstream_model=self.facts.get("upstream_model", self.request.model),
            **extra,
        )


def frames(text: str) -> list[Any]:
    """SSE frames as values: what a client sees, whatever the order of keys."""
    found = []
    for frame in text.split("\n\n"):
        if frame.strip():
            data = frame.strip().removeprefix("data: ")
            found.append(data if data == "[DONE]" else json.loads(data))
    return found


def cases_with(*names: str) -> pytest.MarkDecorator:
    """Runs a test over the cases that have one of these files, or over all when none is named."""
    folders = [folder for folder in FOLDERS if not names or any((folder / name).exists() for name in names)]
    return pytest.mark.parametrize(
        "case", [pytest.param(Case(folder), id=f"{folder.parent.name}/{folder.name}") for folder in folders]
    )


@cases_with()
def test_sends_what_the_case_expects(case: Case) -> None:
    if not case.has("upstream_request.json") and not case.has("refused.json") and not WRITING:
        pytest.fail("the case says neither what is sent nor that it is refused")
    try:
        sent = case.serving.prepare(case.request, case.deployment, case.facts.get("secret", "sk-test"))
    except UpstreamError as error:
        case.expect("refused.json", {"error": type(error).__name__, "status": error.status, "body": error_body(error)})
        return
    assert not case.has("refused.json")
    actual: dict[str, Any] = {"path": sent.path, "body": orjson.loads(sent.body) if sent.body else None}
    if case.has("upstream_request.json"):
        wanted = case.json("upstream_request.json")
        names = wanted.get("headers", {})
        headers = dict(sent.headers)
        actual = {key: value for key, value in actual.items() if key in wanted}
        if names:
            actual["headers"] = {name: headers.get(name) for name in names}
    case.expect("upstream_request.json", actual)


@cases_with("answer.json")
def test_reads_the_answer(case: Case) -> None:
    body = (case.folder / "answer.json").read_bytes()
    try:
        delivered = case.serving.read_answer(case.request, case.deployment, {}, body)
    except UpstreamError as error:
        case.expect("client_error.json", described(case, error))
        return
    case.expect("client_answer.json", orjson.loads(delivered.body))
    outcome = {
        "usage": counted(delivered.usage),
        "finish_reason": delivered.finish_reason,
        "failure": None,
        "text": delivered.text,
    }
    expect_outcome(case, outcome)


@cases_with("error.json", "error.txt")
def test_reads_the_error(case: Case) -> None:
    body = (case.folder / ("error.json" if case.has("error.json") else "error.txt")).read_bytes()
    error = case.adapter.read_error(
        case.facts["status"], case.facts.get("headers", {}), body, provider=case.adapter.kind
    )
    case.expect("client_error.json", described(case, error))


@cases_with("stream.txt")
def test_reads_the_stream_under_every_byte_split(case: Case) -> None:
    body = (case.folder / "stream.txt").read_bytes()
    whole, outcome = run(case, [body])
    if case.has("client_stream.txt") or WRITING:
        case.expect("client_stream.txt", whole.decode())
    expect_outcome(case, outcome)
    assert run(case, [body[at : at + 1] for at in range(len(body))]) == (whole, outcome)
    for at in range(1, len(body)):
        assert run(case, [body[:at], body[at:]]) == (whole, outcome), f"cut at byte {at}: {body[:at][-40:]!r}"


@cases_with("stream.txt")
def test_never_takes_a_truncated_stream_for_a_complete_one(case: Case) -> None:
    body = (case.folder / "stream.txt").read_bytes()
    for at in range(len(body)):
        stream = case.serving.open_stream(case.request, case.deployment)
        sent = stream.feed(body[:at]) + stream.close() if at else stream.close()
        assert stream.ended != (stream.failure is not None)
        if stream.ended:
            assert stream.finish_reason is not None
            assert sent.endswith(b"data: [DONE]\n\n")
        else:
            assert not sent.endswith(b"data: [DONE]\n\n")


def run(case: Case, pieces: list[bytes]) -> tuple[bytes, dict[str, Any]]:
    stream: ClientStream = case.serving.open_stream(case.request, case.deployment)
    sent = b"".join(stream.feed(piece) for piece in pieces)
    sent += stream.close()
    outcome = {
        "usage": counted(stream.usage),
        "finish_reason": stream.finish_reason,
        "failure": type(stream.failure).__name__ if stream.failure is not None else None,
        "text": stream.delivered_text(),
    }
    return sent, outcome


def expect_outcome(case: Case, outcome: dict[str, Any]) -> None:
    if case.has("outcome.json"):
        wanted = case.json("outcome.json")
        outcome = {key: value for key, value in outcome.items() if key in wanted}
    case.expect("outcome.json", outcome)


def described(case: Case, error: UpstreamError) -> dict[str, Any]:
    facts = {
        "error": type(error).__name__,
        "status": error.status,
        "body": error_body(error),
        "retry_after_s": error.retry_after_s,
        "limit_tokens": getattr(error, "limit_tokens", None),
        "requested_tokens": getattr(error, "requested_tokens", None),
    }
    wanted = case.json("client_error.json") if case.has("client_error.json") else None
    return {key: value for key, value in facts.items() if (key in wanted if wanted is not None else value is not None)}


def counted(usage: Usage | None) -> dict[str, Any] | None:
    if usage is None:
        return None
    names = (
        "input_tokens",
        "output_tokens",
        "cached_tokens",
        "cache_write_tokens",
        "reasoning_tokens",
        "cost_nano_usd",
        "billed",
        "searches",
    )
    found = {name: value for name in names if (value := getattr(usage, name))}
    return json.loads(json.dumps(found))  # type: ignore[no-any-return]
