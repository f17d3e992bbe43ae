"""What discovery is told by the layers above it: where to look, and how a change is recorded."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from providers.discovery.found import AddressRules, Found


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryPlace:
    url: str
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsulPlace:
    url: str
    tag: str = "llm-proxy"
    datacenter: str | None = None
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesPlace:
    """Empty values mean those of the pod we run in; `own_api_url` is its cluster's, if any. `resource` is `services` or
    `endpointslices`."""

    namespace: str | None = None
    label_selector: str = ""
    resource: str = "services"
    api_url: str | None = None
    own_api_url: str = ""
    token_file: str | None = None
    ca_file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoverySettings:
    """`auto_approve` is True, False, or patterns of names."""

    registry: RegistryPlace | None = None
    consul: ConsulPlace | None = None
    kubernetes: KubernetesPlace | None = None
    model_lists: bool = False
    addresses: AddressRules = field(default_factory=AddressRules)
    auto_approve: bool | tuple[str, ...] = False
    vanish_after: int = 2
    drain_seconds: float = 600.0
    timeout_s: float = 5.0
    connections: int = 100

    def approves(self, found: Found) -> bool:
        if isinstance(self.auto_approve, bool):
            return self.auto_approve
        return any(fnmatchcase(found.name, pattern) for pattern in self.auto_approve)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """`one_change(source=…, reason=…)` makes what happens inside one transaction and one numbered revision."""

    settings: Callable[[], DiscoverySettings] = DiscoverySettings
    one_change: Callable[..., AbstractContextManager[Any]] = lambda **_: nullcontext()


_given: list[Surroundings] = []


def provide(surroundings: Surroundings) -> None:
    """Called once at start by the layer that keeps the configuration."""
    _given[:] = [surroundings]


def surroundings() -> Surroundings:
    return _given[0] if _given else Surroundings()
