"""The configuration's `discovery` section as providers.discovery wants it."""

import logging

from django.conf import settings

from providers.bounds import is_own_secret
from providers.discovery.found import AddressRules
from providers.discovery.settings import ConsulPlace, DiscoverySettings, KubernetesPlace, RegistryPlace, Surroundings
from routing.configuration.document import Discovery
from routing.configuration.stored import section_fault, usable_section
from routing.models import GatewaySettings
from routing.revisions import one_revision

logger = logging.getLogger("llm_proxy.routing.discovery_settings")


def read_discovery_settings() -> DiscoverySettings:
    stored = GatewaySettings.objects.filter(pk=1).values_list("discovery", flat=True).first() or {}
    if (fault := section_fault("discovery", stored)) is not None:
        # One wrong key must not turn discovery off without a word.
        logger.error("left out of the gateway settings: %s", fault)
    return discovery_settings(usable_section("discovery", stored))


def discovery_settings(section: Discovery) -> DiscoverySettings:
    registry, consul, kubernetes = section.registry, section.consul, section.kubernetes
    return DiscoverySettings(
        registry=RegistryPlace(url=registry.url, token=_secret(registry.token_env))
        if registry and registry.url
        else None,
        consul=ConsulPlace(
            url=consul.url, tag=consul.tag, datacenter=consul.datacenter, token=_secret(consul.token_env)
        )
        if consul
        else None,
        kubernetes=KubernetesPlace(
            namespace=kubernetes.namespace,
            label_selector=kubernetes.label_selector,
            resource=kubernetes.resource,
            api_url=kubernetes.api_url,
            own_api_url=settings.KUBERNETES_API_URL,
            token_file=kubernetes.token_file,
            ca_file=kubernetes.ca_file,
        )
        if kubernetes
        else None,
        model_lists=section.model_lists,
        addresses=AddressRules(allow_cidrs=section.allow_cidrs, allow_env=frozenset(section.allow_env)),
        auto_approve=section.auto_approve,
        vanish_after=section.vanish_after,
        drain_seconds=section.drain_seconds,
        timeout_s=settings.HTTP_TIMEOUT_S,
        connections=settings.HTTP_MAX_CONNECTIONS,
    )


def _secret(variable: str | None) -> str:
    return str(settings.PROVIDER_SECRET(variable)) if variable and not is_own_secret(variable) else ""


def surroundings() -> Surroundings:
    return Surroundings(settings=read_discovery_settings, one_change=one_revision)
