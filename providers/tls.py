"""One verifying TLS context for each certificate authority file: building one reads files and takes milliseconds."""

import functools
import ssl


@functools.lru_cache(maxsize=64)
def client_context(ca_file: str | None) -> ssl.SSLContext:
    """The system's authorities, or those in `ca_file` alone. Verification of chain and name is always on."""
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context
