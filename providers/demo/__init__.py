"""The demo upstream: a small, honest HTTP server that speaks a provider's wire format, so that a gateway without any
real key still answers, and so that tests have a strict counterpart.

`create_app()` gives a plain ASGI application; `manage.py demo_upstream` runs it. Every answer is labelled DEMO, echoes
what was asked and is deterministic. The server refuses what the real service refuses, in that service's error shape.
Nothing outside this package may treat it differently from a real provider.

Tokens are estimated as ceil(UTF-8 bytes / 4), for input (all message texts) and for output alike; cached tokens are 0.
Offered models: `demo-small` (context window 8,192 tokens), `demo-large` (131,072) and `demo-embedding`. Any other model
name is accepted too and behaves like `demo-large`.
"""

from providers.demo.app import DIALECTS, create_app

__all__ = ["DIALECTS", "create_app"]
