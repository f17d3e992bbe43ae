"""What the connections of one event loop share lives as long as the loop, and no longer."""

import asyncio
import gc
import weakref
from typing import Any

import pytest

from providers.http1.corked import cork_of
from providers.http1.gathering import gatherer_of
from providers.http1.per_loop import PerLoop


@pytest.mark.parametrize("of", [cork_of, gatherer_of], ids=["cork", "gatherer"])
def test_a_loop_has_one_which_is_gone_with_the_loop(of: PerLoop[Any]) -> None:
    loop = asyncio.new_event_loop()
    gone = weakref.ref(of(loop))
    assert of(loop) is gone()
    loop.close()
    del loop
    gc.collect()
    assert gone() is None
