"""Where a connection goes: `/v1` to the data plane, before Django's handler, which would start a thread for it."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "proxy_site.settings")
django.setup()

from django.conf import settings  # noqa: E402 - Django must be set up first

from proxy_site.http_router import HttpRouter, ProtocolRouter  # noqa: E402
from proxy_site.late_pages import LatePages, django_pages  # noqa: E402
from proxy_site.roles import Role  # noqa: E402
from proxy_site.websockets import websocket_application  # noqa: E402
from proxy_site.worker import Lifespan, Worker  # noqa: E402
from routing.endpoints.data_plane import DataPlane  # noqa: E402

worker = Worker()

pages = LatePages(django_pages)

role = Role(settings.ROLE)

application = ProtocolRouter(
    http=HttpRouter(data_plane=DataPlane(worker.gateway), django=pages, role=role),
    websocket=websocket_application(worker, role=role),
    lifespan=Lifespan(worker),
)
