"""`POST /v1/messages`, a front of chat completions for clients of Anthropic's API, and `/v1/messages/count_tokens`."""

import time

from providers.dialects.json_limits import loads_strict
from providers.dialects.served_messages import ServedMessage, name_of_field, to_chat
from providers.dialects.served_messages.own_fields import OWN
from providers.errors import ClientFault
from providers.types import ClientRequest, JsonObject, Operation
from routing.endpoints.decoding import decode
from routing.endpoints.exchange import new_request_id
from routing.endpoints.fronts import Front, FrontSink
from routing.errors import InvalidRequest
from routing.estimation import prompt_tokens


def read_message_request(body: bytes, request_id: str) -> tuple[ClientRequest, Front]:
    """Raises `InvalidRequest` naming the field, and `JsonRefusedError`."""
    request = _read(body, counting=False)
    # An id of its own: a client's request id may come more than once.
    answer = ServedMessage(f"msg_{new_request_id().removeprefix('req_')}", request.model)
    return request, lambda inner: FrontSink(inner, answer, name_of_field=name_of_field, request_id=request_id)


def count_message_tokens(body: bytes) -> tuple[str, JsonObject]:
    """The model, and the count as we estimate it: each provider counts differently, and which will answer is not known."""
    request = _read(body, counting=True)
    return request.model, {"input_tokens": prompt_tokens(request)}


def _read(body: bytes, *, counting: bool) -> ClientRequest:
    asked = loads_strict(body)
    try:
        chat = to_chat(asked, counting=counting)
    except ClientFault as error:
        raise InvalidRequest(error.message, param=error.param, code=error.code) from None
    own = chat.pop(OWN)
    try:
        request = decode(Operation.CHAT, chat, raw=body, received_at_s=int(time.time()))
    except InvalidRequest as error:
        raise InvalidRequest(error.message, param=name_of_field(error.param), code=error.code) from None
    # After the check, which takes it from nobody else.
    request.body[OWN] = own
    return request
