"""How Django's part reads what it is asked where its own way would lose or break something."""

from collections.abc import Mapping
from typing import IO, Any

from django.http import HttpResponsePermanentRedirect
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

from proxy_site.host_check import HostCheckMiddleware


class SamePlace(HttpResponsePermanentRedirect):
    """After a 301 clients ask with GET for what they had sent with POST, and without its body (RFC 9110, 15.4.2)."""

    status_code = 308


class SlashMiddleware(HostCheckMiddleware):
    response_redirect_class = SamePlace


class BoundedJson(JSONParser):
    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise ParseError("JSON parse error - it is nested too deeply.") from None
