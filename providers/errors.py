"""Every way an upstream can fail, each class carrying its consequence. Pure.

UpstreamError
├── ConnectFailed        DNS, TCP, TLS, reset before anything was answered          → next candidate
├── UpstreamTimeout      connect, first token, idle or total deadline               → next candidate, breaker
├── RateLimited          429                                                        → cool the credential, next
├── QuotaExhausted       402, 429 with a spending limit                             → disable the credential, next
├── CredentialRejected   401, 403, a 400 or 500 that says so                        → disable the credential, next
├── Overloaded           503, 529                                                   → cool, breaker, next
├── ServerFailed         500, 502, 504, an error event of the provider's making     → breaker, next
│   └── Misconfigured    nothing can be sent with the options that were entered      → breaker, next
├── BadAnswer            not JSON, not SSE, wrong shape, too large                   → breaker, next
│   ├── StreamTruncated  the stream ended without its end                           → breaker, next
│   └── UnreadableCall   the model called a tool in no form that can be read        → next
├── ModelNotFound        404 or 403 for the model or deployment                      → next
├── ContextOverflow      the conversation does not fit                               → condense, larger model
├── ContentFiltered      refused by a moderation layer                               → to the client
└── ClientFault          400, 413, 422: the request itself is wrong                  → to the client
    ├── Unsupported      the provider cannot do what a field asks                    → another capable candidate
    └── TooLargeForRate  more tokens at once than a limit per minute lets through    → next
"""

from typing import ClassVar

from providers.types import JsonObject


class UpstreamError(Exception):
    """A failed attempt. Class attributes say what follows from it; `status`, `code` and `type` are for the client."""

    fails_over: ClassVar[bool] = True
    trips_breaker: ClassVar[bool] = True
    cools_credential: ClassVar[bool] = False
    disables_credential: ClassVar[bool] = False
    reason: ClassVar[str] = "error"
    status: int = 502
    code: str | None = "upstream_error"
    type: str = "upstream_error"

    def __init__(
        self,
        message: str,
        *,
        upstream_status: int | None = None,
        code: str | None = None,
        param: str | None = None,
        retry_after_s: float | None = None,
        detail: JsonObject | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.upstream_status = upstream_status
        self.param = param
        self.retry_after_s = retry_after_s
        self.detail = detail
        if code is not None:
            self.code = code


class ConnectFailed(UpstreamError):
    """`stale` marks a kept-alive connection that the upstream had already closed: nothing was processed."""

    reason = "connect"

    def __init__(self, message: str, *, stale: bool = False) -> None:
        super().__init__(message)
        self.stale = stale


class UpstreamTimeout(UpstreamError):
    """`phase` is connect, pool, first_token, idle or total."""

    reason = "timeout"
    status = 504
    code = "upstream_timeout"
    type = "timeout"

    def __init__(self, message: str, *, phase: str) -> None:
        super().__init__(message)
        self.phase = phase


class RateLimited(UpstreamError):
    trips_breaker = False
    cools_credential = True
    reason = "rate_limit"
    status = 429
    code = "rate_limit_exceeded"
    type = "rate_limit_error"


class QuotaExhausted(UpstreamError):
    trips_breaker = False
    disables_credential = True
    reason = "quota"
    status = 503
    code = "no_provider_available"


class CredentialRejected(UpstreamError):
    trips_breaker = False
    disables_credential = True
    reason = "credential"

    none_was_sent = "The provider asks for a credential, and none is configured for it."


class Overloaded(UpstreamError):
    cools_credential = True
    reason = "overloaded"
    status = 503
    code = "upstream_overloaded"


class ServerFailed(UpstreamError):
    reason = "server_error"


class Misconfigured(ServerFailed):
    """The operator's to mend, not the client's: another candidate may be configured rightly."""

    def __init__(self, *, provider: str, why: object) -> None:
        super().__init__(f"Provider '{provider}' is not configured rightly: {why}")


class BadAnswer(UpstreamError):
    reason = "bad_answer"


class StreamTruncated(BadAnswer):
    reason = "truncated"
    code = "stream_truncated"


class UnreadableCall(BadAnswer):
    """The model's doing, and often the tools': it says nothing of the deployment, and the next try may do better."""

    trips_breaker = False


class ModelNotFound(UpstreamError):
    """The name is the deployment's, not the client's, and says nothing of the same model elsewhere."""

    trips_breaker = False
    reason = "model_not_found"
    status = 404
    code = "model_not_found"
    type = "invalid_request_error"


class ContextOverflow(UpstreamError):
    """`limit_tokens` and `requested_tokens` are what the upstream's text said, where it said it."""

    fails_over = False
    trips_breaker = False
    reason = "context_overflow"
    status = 400
    code = "context_length_exceeded"
    type = "invalid_request_error"

    def __init__(
        self,
        message: str,
        *,
        upstream_status: int | None = None,
        limit_tokens: int | None = None,
        requested_tokens: int | None = None,
    ) -> None:
        super().__init__(message, upstream_status=upstream_status, param="messages")
        self.limit_tokens = limit_tokens
        self.requested_tokens = requested_tokens


class ContentFiltered(UpstreamError):
    fails_over = False
    trips_breaker = False
    reason = "content_filter"
    status = 400
    code = "content_filter"
    type = "invalid_request_error"


class ClientFault(UpstreamError):
    """The upstream's own status (400, 404, 413, 422) is passed on."""

    fails_over = False
    trips_breaker = False
    reason = "client_error"
    status = 400
    code = None
    type = "invalid_request_error"

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        upstream_status: int | None = None,
        code: str | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message, upstream_status=upstream_status, code=code, param=param)
        self.status = status


class Unsupported(ClientFault):
    """A field that this provider cannot honour; another candidate may."""

    fails_over = True
    reason = "unsupported"

    def __init__(self, *, field: str, provider: str, why: str = "") -> None:
        text = f"Provider '{provider}' does not support '{field}'" + (f": {why}." if why else ".")
        super().__init__(text, code="unsupported_parameter", param=field)


class TooLargeForRate(ClientFault):
    """Waiting does not help, and the credential serves smaller requests; another candidate may have a wider limit."""

    fails_over = True
    reason = "too_large_for_rate"


def knowing_the_secret(error: UpstreamError, secret: str) -> UpstreamError:
    """The error that an adapter read, which does not know with what it was asked: who sent no secret had none rejected."""
    if not secret and isinstance(error, CredentialRejected):
        error.message = CredentialRejected.none_was_sent
    return error
