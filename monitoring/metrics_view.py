"""`GET /metrics`: Prometheus text, for the scrape token, a `read` key, staff, or everybody where that is configured."""

import hmac

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from accounts.callers import READ, required
from monitoring.metrics import METRICS_CONTENT_TYPE, metrics_text


@csrf_exempt  # it changes nothing, and a wrong method shall be told so
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    if not (settings.METRICS_PUBLIC or _is_scraper(request)):
        required(request, READ)
    return HttpResponse(metrics_text(), content_type=METRICS_CONTENT_TYPE)


def _is_scraper(request: HttpRequest) -> bool:
    given = request.headers.get("Authorization", "").encode("utf-8", "replace")
    expected = f"Bearer {settings.METRICS_TOKEN}".encode()
    return bool(settings.METRICS_TOKEN) and hmac.compare_digest(given, expected)
