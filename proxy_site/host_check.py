"""Host names that are answered (`PROXY_API_ALLOWED_HOSTS`), but for what probes and scrapers ask of every process.

Those know an address: Docker's health check asks 127.0.0.1, a kubelet the pod, HAProxy and Prometheus the server. Nothing
that answers them makes an address out of the name they were asked by.
"""

from django.http import HttpRequest, HttpResponsePermanentRedirect
from django.middleware.common import CommonMiddleware

from proxy_site.roles import ON_EVERY_ROLE


class HostCheckMiddleware(CommonMiddleware):
    def process_request(self, request: HttpRequest) -> HttpResponsePermanentRedirect | None:
        return None if request.path in ON_EVERY_ROLE else super().process_request(request)
