import pytest
from opentelemetry import trace

from monitoring.tracing import Tracing, configure_tracing, parse_traceparent
from tests.unit.monitoring.calls import attempt, finished

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Span(trace.NonRecordingSpan):
    def __init__(self, name, context, fields) -> None:
        parent = trace.get_current_span(context).get_span_context()
        super().__init__(
            trace.SpanContext(parent.trace_id or 1, id(self) & 0xFFFF_FFFF | 1, False, trace.TraceFlags(1))
        )
        self.name, self.parent, self.fields = name, parent, fields
        self.status, self.ended_ns = None, None

    def set_status(self, status, description=None) -> None:
        self.status = status

    def end(self, end_time=None) -> None:
        self.ended_ns = end_time


class Provider:
    """Stands for the SDK, which is an optional extra."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.closed = False

    def get_tracer(self, name):
        return self

    def start_span(self, name, context=None, **fields):
        self.spans.append(Span(name, context, fields))
        return self.spans[-1]

    def shutdown(self) -> None:
        self.closed = True


def test_a_call_becomes_a_span_with_one_for_each_attempt():
    provider = Provider()
    Tracing(provider).observe(
        finished(
            input_tokens=10, output_tokens=5, finish_reason="stop", first_token_s=0.8, duration_s=2.0,
            attempts=(
                attempt("openai", "timeout", status=504, started_s=0.1, duration_s=0.5),
                attempt("cohere", started_s=0.6, duration_s=1.4, first_token_s=0.8),
            ),
        )
    )  # fmt: skip
    request, failed, won = provider.spans
    assert request.name == "chat gpt-4"
    assert request.fields["attributes"]["gen_ai.usage.output_tokens"] == 5
    assert request.fields["attributes"]["gen_ai.response.finish_reasons"] == ["stop"]
    assert request.ended_ns - request.fields["start_time"] == pytest.approx(2e9, abs=1000)
    for span in (failed, won):
        assert span.parent.span_id == request.get_span_context().span_id
        assert span.fields["kind"] is trace.SpanKind.CLIENT
    assert failed.status.status_code is trace.StatusCode.ERROR
    assert failed.fields["attributes"]["error.type"] == "timeout"
    assert failed.fields["start_time"] - request.fields["start_time"] == pytest.approx(1e8, abs=1000)
    assert won.status is None
    assert won.fields["attributes"]["gen_ai.provider.name"] == "cohere"
    took = [span.fields["attributes"]["llm_proxy.time_to_first_token"] for span in (request, won)]
    assert took == [0.8, pytest.approx(0.2)]


def test_the_clients_trace_goes_on():
    provider = Provider()
    Tracing(provider).observe(finished(trace_id=TRACE, parent_span_id=PARENT))
    assert {span.get_span_context().trace_id for span in provider.spans} == {int(TRACE, 16)}
    assert provider.spans[0].parent.span_id == int(PARENT, 16)


def test_only_our_failures_are_errors():
    provider = Provider()
    tracing = Tracing(provider)
    for status in (200, 404, 429, 499, 503):
        tracing.observe(finished(status=status, attempts=()))
    assert [span.status is not None for span in provider.spans] == [False, False, False, False, True]
    tracing.close()
    assert provider.closed


def test_without_the_extra_there_is_no_tracing():
    try:
        import opentelemetry.sdk  # noqa: F401
    except ImportError:
        assert configure_tracing() is None
    else:
        pytest.skip("the extra is installed here")


MALFORMED = (
    None,
    "",
    "garbage",
    f"01-{TRACE}-{PARENT}-01",
    f"00-{'0' * 32}-{PARENT}-01",
    f"00-{TRACE}-{'0' * 16}-01",
    f"00-{TRACE.upper()}-{PARENT}-01",
)


@pytest.mark.parametrize("header", MALFORMED)
def test_a_malformed_traceparent_is_no_trace(header):
    assert parse_traceparent(header) is None


def test_a_traceparent_names_trace_and_parent():
    assert parse_traceparent(f"00-{TRACE}-{PARENT}-01") == (TRACE, PARENT)
