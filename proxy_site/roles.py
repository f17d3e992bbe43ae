"""What one process of an installation serves, so that the control plane can be scaled and exposed apart from the gateway.

role      HTTP                                                         WebSocket    scheduled work
all       everything                                                   everything   in the embedded default
gateway   the data plane, `/health`, `/livez`, `/readyz`, `/metrics`   `/ws/v1`     never
admin     everything but the data plane                                everything   in the embedded default

The playground's WebSocket is a part of the admin: staff try a model there without a key.
"""

from enum import StrEnum


class Role(StrEnum):
    ALL = "all"
    GATEWAY = "gateway"
    ADMIN = "admin"


ON_EVERY_ROLE = frozenset({"/health", "/livez", "/readyz", "/metrics"})
