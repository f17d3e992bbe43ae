"""A lean HTTP/1.1 client behind the seam of `providers.transport`: asyncio moves bytes and does TLS, llhttp parses.

client      the transport: one pool for each endpoint
pool        idle connections, the bound, those who wait
dialing     resolve → check → connect to the checked address → proxy tunnel → TLS
connection  one socket: parser events, flow control both ways, one timer
response    what the caller reads
request     the bytes of a request head
"""

from providers.http1.client import Http1Transport

__all__ = ["Http1Transport"]
