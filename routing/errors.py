"""What can be wrong with a request before or instead of an upstream call, in OpenAI's error shape. Pure.

Errors of the other layers (`accounts.errors`, `providers.errors`) have the same attributes, so one function writes all.
"""

from typing import Protocol

import orjson

from providers.types import JsonObject


class ClientFacing(Protocol):
    """The attributes every error that reaches a client has."""

    @property
    def status(self) -> int: ...
    @property
    def code(self) -> str | None: ...
    @property
    def type(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def param(self) -> str | None: ...


class RequestError(Exception):
    status: int = 400
    code: str | None = None
    type: str = "invalid_request_error"
    headers: tuple[tuple[bytes, bytes], ...] = ()

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        if code is not None:
            self.code = code


class InvalidRequest(RequestError):
    """The body cannot be understood or has a wrong value."""


class BodyTooLarge(RequestError):
    status = 413
    code = "request_too_large"


class BodyTooSlow(RequestError):
    status = 408
    code = "request_timeout"
    type = "timeout"


class HeadersTooLarge(RequestError):
    status = 431
    code = "headers_too_large"


class UnknownTransferCoding(RequestError):
    status = 501
    code = "unknown_transfer_coding"


class OriginNotAllowed(RequestError):
    status = 403
    code = "permission_denied"
    type = "permission_error"


class WrongMethod(RequestError):
    status = 405
    code = "method_not_allowed"

    def __init__(self, method: str, allowed: str) -> None:
        super().__init__(f"Use {allowed} for this endpoint, not {method}.")
        self.headers = ((b"allow", allowed.encode()),)


class UnknownRoute(RequestError):
    status = 404
    code = "not_found"


class UnknownModel(RequestError):
    status = 404
    code = "model_not_found"


class UnsupportedMediaType(RequestError):
    status = 415
    code = "unsupported_media_type"


class NoProviderAvailable(RequestError):
    """Every candidate was excluded or failed; the message names each one's reason."""

    status = 503
    code = "no_provider_available"
    type = "server_error"


class DeadlineExceeded(RequestError):
    status = 504
    code = "upstream_timeout"
    type = "timeout"


class ShuttingDown(RequestError):
    status = 503
    code = "shutting_down"
    type = "server_error"


class InternalError(RequestError):
    status = 500
    code = "internal_error"
    type = "server_error"


def error_body(error: ClientFacing) -> JsonObject:
    """`{"error": {"message", "type", "param", "code"}}`."""
    return {"error": {"message": error.message, "type": error.type, "param": error.param, "code": error.code}}


def error_event(error: ClientFacing, request_id: str) -> bytes:
    """The same within a stream, with the request's id: who is told of it by a client's exception sees no header."""
    body = error_body(error)
    body["error"]["request_id"] = request_id
    return b"data: %b\n\n" % orjson.dumps(body)
