"""How Django's part reads what it is asked where its own way would lose or break something."""

from collections.abc import Mapping
from typing import IO, Any

from django.http import HttpRequest, HttpResponsePermanentRedirect
from django.middleware.common import CommonMiddleware
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

from proxy_site.roles import ON_EVERY_ROLE


class SamePlace(HttpResponsePermanentRedirect):
    """After a 301 clients ask with GET for what they had sent with POST, and without its body (RFC 9110, 15.4.2)."""

    status_code = 308


class RequestMiddleware(CommonMiddleware):
    """Host names are not checked of what probes and scrapers ask of every process: those know an address. Docker's health
    check asks 127.0.0.1, a kubelet the pod, HAProxy and Prometheus the server. Nothing that answers them makes an address
    out of the name they were asked by."""

    response_redirect_class = SamePlace

    def process_request(self, request: HttpRequest) -> HttpResponsePermanentRedirect | None:
        return None if request.path in ON_EVERY_ROLE else super().process_request(request)


class BoundedJson(JSONParser):
    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise ParseError("JSON parse error - it is nested too deeply.") from None
