"""GET and read JSON from a source, under the address policy for what the operator entered."""

from typing import Any

import orjson
from django.conf import settings

from providers.addresses import UrlError, parse_base_url
from providers.control_plane import Answer, ControlPlaneClient
from providers.discovery.found import SourceFailed
from providers.errors import UpstreamError
from providers.transport import Endpoint, UpstreamRequest


async def get_json(
    client: ControlPlaneClient,
    url: str,
    *,
    headers: tuple[tuple[str, str], ...] = (),
    ca_file: str | None = None,
) -> tuple[Any, Answer]:
    """Raises `SourceFailed` for everything but a JSON answer with status 200; redirects are not followed."""
    address, question, query = url.partition("?")
    try:
        parts = parse_base_url(address)
    except UrlError as error:
        raise SourceFailed(f"the address cannot be used: {error}") from None
    endpoint = Endpoint(
        scheme=parts.scheme,
        host=parts.host,
        port=parts.port,
        ca_file=ca_file,
        proxy=settings.UPSTREAM_PROXIES.towards(parts.scheme, parts.host, parts.port),
    )
    request = UpstreamRequest(
        method="GET",
        path=(parts.path or "/") + question + query,
        headers=(("accept", "application/json"), ("accept-encoding", "identity"), *headers),
    )
    try:
        answer = await client.send(endpoint, request)
    except UpstreamError as error:
        raise SourceFailed(str(error)) from error
    if answer.status != 200:
        moved = "; redirects are not followed" if 300 <= answer.status < 400 else ""
        raise SourceFailed(f"{parts.host} answered with status {answer.status}{moved}")
    try:
        return orjson.loads(answer.body), answer
    except orjson.JSONDecodeError as error:
        raise SourceFailed(f"the answer of {parts.host} is not JSON: {error}") from None
