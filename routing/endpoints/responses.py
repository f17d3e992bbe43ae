"""`POST /v1/responses`, a front of chat completions."""

import time

from providers.dialects.json_limits import loads_strict
from providers.dialects.served_responses import ServedStream, name_of_field, opening, to_chat
from providers.types import ClientRequest
from routing.endpoints.exchange import new_request_id
from routing.endpoints.fronts import Front, FrontSink, read_as_chat


def read_response_request(body: bytes, request_id: str) -> tuple[ClientRequest, Front]:
    """Raises `InvalidRequest` naming the field, and `JsonRefusedError`."""
    asked, now_s = loads_strict(body), int(time.time())
    request = read_as_chat(asked, body, to_chat=to_chat, name_of_field=name_of_field, received_at_s=now_s)
    # An id of its own: a client's request id may come more than once.
    begun = opening(asked, response_id=f"resp_{new_request_id().removeprefix('req_')}", created_at=now_s)
    answer = ServedStream(begun, logprobs=bool(request.body.get("logprobs")))
    return request, lambda inner: FrontSink(inner, answer, name_of_field=name_of_field, request_id=request_id)
