"""Why a caller is turned away, each class carrying what the client is told. Pure.

AccessDenied
├── InvalidApiKey         401  unknown, wrong, disabled, expired or revoked key
├── PermissionDenied      403  scope, model or address not allowed
├── RateLimitExceeded     429  requests, tokens or concurrency; says when to come back
├── InsufficientQuota     429  a budget is used up; retrying is pointless, x-should-retry: false
└── AccountsUnavailable   503  the key cannot be checked, or the call could not be accounted for
"""

from typing import ClassVar

from accounts.header_lines import HeaderPairs

NO_RETRY: HeaderPairs = ((b"x-should-retry", b"false"),)
CHALLENGE: HeaderPairs = ((b"www-authenticate", b"Bearer"),)
"""Which every 401 must have (RFC 9110, 15.5.2)."""


class AccessDenied(Exception):
    """`headers` go into the response; `kind` is the label of the metric `llm_proxy_limited_total`. `model` is the name that
    was asked for, where it is known to be one."""

    status: ClassVar[int] = 403
    code: ClassVar[str] = "permission_denied"
    type: ClassVar[str] = "invalid_request_error"
    kind: ClassVar[str] = "permission"

    def __init__(self, message: str, *, param: str | None = None, headers: HeaderPairs = ()) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.headers = headers
        self.model: str | None = None


class InvalidApiKey(AccessDenied):
    status = 401
    code = "invalid_api_key"
    type = "authentication_error"
    kind = "authentication"

    def __init__(self, message: str) -> None:
        super().__init__(message, headers=CHALLENGE)


class PermissionDenied(AccessDenied):
    type = "permission_error"


class RateLimitExceeded(AccessDenied):
    """`retry_after_s` is exact: the earliest moment the same call would be let through if nothing else came.
    None when it never would, because the call alone is larger than the limit."""

    status = 429
    code = "rate_limit_exceeded"
    type = "rate_limit_error"
    kind = "rate"

    def __init__(self, message: str, *, retry_after_s: float | None, headers: HeaderPairs = ()) -> None:
        super().__init__(message, headers=headers)
        self.retry_after_s = retry_after_s


class InsufficientQuota(AccessDenied):
    status = 429
    code = "insufficient_quota"
    type = "insufficient_quota"
    kind = "budget"

    def __init__(self, message: str, *, headers: HeaderPairs = NO_RETRY) -> None:
        super().__init__(message, headers=headers)


class AccountsUnavailable(AccessDenied):
    status = 503
    code = "accounts_unavailable"
    type = "server_error"
    kind = "unavailable"

    def __init__(self, message: str, *, retry_after_s: int = 1) -> None:
        super().__init__(message, headers=((b"retry-after", b"%d" % retry_after_s),))
