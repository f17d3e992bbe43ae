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


class WorkerBusy(OperationRefused):
    """The worker's event loop did not answer in time; what was asked of it was taken back."""

    status = 503
    code = "busy"
    type = "server_error"
    retry_after_s = 5

    def __init__(self) -> None:
        super().__init__("The gateway is too busy to answer; try again in some seconds.")
