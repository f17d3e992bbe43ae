"""What an operations route answers instead of what was asked, in OpenAI's error shape."""

from typing import ClassVar


class OperationRefused(Exception):
    status: ClassVar[int] = 400
    code: ClassVar[str | None] = None
    type: ClassVar[str] = "invalid_request_error"

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


class UnknownProvider(OperationRefused):
    status = 404
    code = "provider_not_found"


class NotFound(OperationRefused):
    status = 404
    code = "not_found"


class WorkerStarting(OperationRefused):
    status = 503
    code = "starting"
    type = "server_error"
