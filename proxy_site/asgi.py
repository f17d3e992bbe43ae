"""Where a connection goes: `/v1` to the data plane, before Django's handler, which would start a thread for it."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "proxy_site.settings")
django.setup()

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402 - Django must be set up first
from django.core.asgi import get_asgi_application  # noqa: E402
from django.urls import re_path  # noqa: E402

from proxy_site.worker import Lifespan, Worker  # noqa: E402
from routing.endpoints.data_plane import DataPlane  # noqa: E402

worker = Worker()

application = ProtocolTypeRouter(
    {
        "http": URLRouter(
            [
                re_path(r"^v1(?:/|$)", DataPlane(worker.gateway)),  # type: ignore[arg-type]
                re_path(r"", get_asgi_application()),  # type: ignore[arg-type]
            ]
        ),
        "lifespan": Lifespan(worker),
    }
)
