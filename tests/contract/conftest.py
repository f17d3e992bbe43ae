"""Every test here is asked of every adapter in the registry."""

import pytest

from providers.adapters import REGISTRY
from providers.adapters.base import Adapter


@pytest.fixture(params=sorted(REGISTRY))
def adapter(request: pytest.FixtureRequest) -> Adapter:
    return REGISTRY[request.param]
