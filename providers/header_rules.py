"""Which extra headers a provider may be given. Pure."""

import re

HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
# Set by the adapter or the transport; letting configuration override them would unbind a credential from its host.
RESERVED_HEADERS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "authorization", "x-api-key", "api-key"}
)
