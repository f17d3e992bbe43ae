"""`POST /v1/messages`, a front of chat completions for clients of Anthropic's API, and `/v1/messages/count_tokens`."""

import time
from functools import partial

from providers.dialects.json_limits import loads_strict
from providers.dialects.served_messages import ServedMessage, name_of_field, to_chat
from providers.dialects.served_messages.own_fields import OWN
from providers.types import ClientRequest, JsonObject
from routing.endpoints.exchange import new_request_id
from routing.endpoints.fronts import Front, FrontSink, read_as_chat
from routing.estimation import estimate, prompt_tokens


def read_message_request(body: bytes, request_id: str, *, beta: str = "") -> tuple[ClientRequest, Front]:
    """`beta`: the header `anthropic-beta`. Raises `InvalidRequest` naming the field, and `JsonRefusedError`."""
    request = _read(body, counting=False, beta=beta)
    # An id of its own: a client's request id may come more than once.
    answer = ServedMessage(
        f"msg_{new_request_id().removeprefix('req_')}",
        request.model,
        request_id=request_id,
        likely_input=estimate(request).likely_input if request.stream else 0,
    )
    return request, lambda inner: FrontSink(inner, answer, name_of_field=name_of_field, request_id=request_id)


def count_message_tokens(body: bytes) -> tuple[ClientRequest, JsonObject]:
    """The count as we estimate it: each provider counts differently, and which will answer is not known. Raises as above."""
    request = _read(body, counting=True)
    return request, {"input_tokens": prompt_tokens(request)}


def _read(body: bytes, *, counting: bool, beta: str = "") -> ClientRequest:
    return read_as_chat(
        loads_strict(body),
        body,
        to_chat=partial(to_chat, counting=counting, beta=beta),
        name_of_field=name_of_field,
        received_at_s=int(time.time()),
        carried=OWN,
    )
