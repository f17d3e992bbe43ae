"""A gateway that reaches its providers through a proxy: a real process, a real proxy that wants a password, real TLS."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from providers.demo import create_app
from tests.e2e.gateway_process import GatewayProcess, free_port, fresh_copy
from tests.transport.authority import Authority
from tests.upstreams.proxies import OutgoingProxy, outgoing_proxy
from tests.upstreams.servers import run_asgi

USER, PASSWORD = "robot", "CANARYproxyWORDq1w2e3r4"
NAMES = ("secure.example", "quiet.example", "direct.example")
"""Nobody but the proxy can say where these are."""
MESSAGES = [{"role": "user", "content": "hi"}]


def provider(name: str, base_url: str, *models: str, **fields: Any) -> dict[str, Any]:
    served = [{"model": model, "upstream_model": "demo-small"} for model in models]
    # A failure is to be seen as it is: no second attempt, no breaker.
    return {
        "name": name,
        "base_url": base_url,
        "max_retries": 1,
        "circuit_breaker_threshold": 99,
        "models": served,
        **fields,
    }


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def proxy(authority: Authority, demo_url: str) -> Iterator[OutgoingProxy]:
    with run_asgi(create_app(), certificate=authority.certificate(*NAMES)) as secure:
        ports = dict.fromkeys(NAMES, int(secure.rsplit(":", 1)[1]))
        ports |= dict.fromkeys(("plain.example", "quiet-plain.example"), int(demo_url.rsplit(":", 1)[1]))
        with outgoing_proxy(ports, user=f"{USER}:{PASSWORD}") as running:
            yield running


def environment(authority: Authority, url: str) -> dict[str, str]:
    return {
        "HTTPS_PROXY": url,
        "http_proxy": url,
        "HTTP_PROXY": "http://the-lower-case-one-wins.example:1",
        "NO_PROXY": "direct.example",
        "SSL_CERT_FILE": authority.ca_file,
        "LOG_LEVEL": "DEBUG",
    }


PROVIDERS = [
    provider("secure", "https://secure.example/v1", "secure", "either", priority=1),
    provider("plain", "http://plain.example/v1", "plain"),
    provider("quiet", "https://quiet.example/v1", "quiet"),
    provider("quiet-plain", "http://quiet-plain.example/v1", "quiet"),
    provider("direct", "https://direct.example/v1", "direct"),
    provider("unknown", "https://unknown.example/v1", "unknown", "either", priority=0),
]


def started(process: GatewayProcess, near_url: str) -> GatewayProcess:
    near = provider("near", f"{near_url}/v1", "near", "far-or-near", priority=2)
    far = provider("far", "https://secure.example/v1", "far-or-near", priority=1)
    return process.seed({"providers": [*PROVIDERS, near, far]}).start()


@pytest.fixture(scope="module")
def gateway(
    migrated_data_dir: Path,
    tmp_path_factory: pytest.TempPathFactory,
    authority: Authority,
    proxy: OutgoingProxy,
    demo_url: str,
) -> Iterator[GatewayProcess]:
    data = fresh_copy(migrated_data_dir, tmp_path_factory.mktemp("proxied") / "data")
    url = f"http://{USER}:{PASSWORD}@127.0.0.1:{proxy.port}"
    process = started(GatewayProcess(data, env=environment(authority, url)), demo_url)
    yield process
    process.end()


@pytest.fixture(autouse=True)
def _nothing_asked_yet(proxy: OutgoingProxy) -> None:
    proxy.asked.clear()


def ask(gateway: GatewayProcess, model: str, *, stream: bool = False) -> tuple[int, dict[str, str], str]:
    body = {"model": model, "messages": MESSAGES, "stream": stream}
    status, headers, answer = gateway.post("/v1/chat/completions", body)
    return status, headers, answer.decode()


def asked_for_calls(proxy: OutgoingProxy, host: str) -> list[str]:
    """Without what probes ask meanwhile."""
    return [each for each in proxy.asked if host in each and "/models" not in each]


SAID = r"calls to (\w+):// addresses go through the proxy at ([\w.:]+)"


def test_a_start_says_that_there_is_a_proxy(gateway: GatewayProcess, proxy: OutgoingProxy) -> None:
    expected = [(scheme, f"127.0.0.1:{proxy.port}") for scheme in ("https", "http")]
    deadline = time.monotonic() + 10
    # The log is written by a thread of its own.
    while (said := re.findall(SAID, gateway.log.read_text())) != expected and time.monotonic() < deadline:
        time.sleep(0.05)
    assert said == expected


@pytest.mark.parametrize("stream", [False, True])
def test_https_goes_through_a_tunnel(gateway: GatewayProcess, proxy: OutgoingProxy, stream: bool) -> None:
    for _ in range(2):
        status, headers, answer = ask(gateway, "secure", stream=stream)
        assert (status, headers["x-llm-proxy-provider"]) == (200, "secure"), answer
        assert not stream or answer.rstrip().endswith("data: [DONE]")
    assert set(asked_for_calls(proxy, "secure.example")) <= {"CONNECT secure.example:443"}
    assert "CONNECT secure.example:443" in proxy.asked or stream, "the stream went over a connection that was open"


@pytest.mark.parametrize("stream", [False, True])
def test_http_is_handed_to_the_proxy_that_the_lower_case_names(
    gateway: GatewayProcess, proxy: OutgoingProxy, stream: bool
) -> None:
    status, headers, answer = ask(gateway, "plain", stream=stream)
    assert (status, headers["x-llm-proxy-provider"]) == (200, "plain"), answer
    assert asked_for_calls(proxy, "plain.example") == ["POST http://plain.example/v1/chat/completions"]


def test_no_proxy_and_what_lies_near_are_called_directly(gateway: GatewayProcess, proxy: OutgoingProxy) -> None:
    assert ask(gateway, "near")[0] == 200
    status, _, answer = ask(gateway, "direct")
    assert status == 502
    assert "direct.example cannot be resolved" in answer, "it was looked up here, as nobody but the proxy could answer"
    assert not [each for each in proxy.asked if "127.0.0.1" in each or "direct.example" in each]


def test_what_the_proxy_cannot_reach_fails_over(gateway: GatewayProcess, proxy: OutgoingProxy) -> None:
    status, _, answer = ask(gateway, "unknown")
    error = json.loads(answer)["error"]
    assert (status, error["code"]) == (502, "upstream_error")
    assert error["message"] == "The proxy refused the tunnel with status 502."
    status, headers, _ = ask(gateway, "either")
    assert (status, headers["x-llm-proxy-provider"], headers["x-llm-proxy-attempts"]) == (200, "secure", "2")


LISTED = """
from providers.models import Provider
from providers.onboarding import listed_models
print(len(listed_models(Provider.objects.get(name="quiet"))))
"""


def test_probes_and_lists_of_models_go_through_it(gateway: GatewayProcess, proxy: OutgoingProxy) -> None:
    """Of providers that nobody calls: of others, their calls are proof enough."""
    for name in ("quiet", "quiet-plain"):
        status, _, answer = gateway.post(f"/check?provider={name}", b"")
        assert (status, json.loads(answer)["providers"][0]["status"]) == (200, "healthy"), answer
    assert {"CONNECT quiet.example:443", "GET http://quiet-plain.example/v1/models"} <= set(proxy.asked)
    proxy.asked.clear()
    assert int(gateway.shell(LISTED).strip().splitlines()[-1]) > 0
    assert "CONNECT quiet.example:443" in proxy.asked


@pytest.fixture
def another(migrated_data_dir: Path, tmp_path: Path, authority: Authority, demo_url: str) -> Iterator[Any]:
    processes: list[GatewayProcess] = []

    def start(url: str, client: str) -> GatewayProcess:
        data = fresh_copy(migrated_data_dir, tmp_path / "data")
        env = {**environment(authority, url), "PROXY_API_UPSTREAM_CLIENT": client}
        processes.append(GatewayProcess(data, env=env))
        return started(processes[-1], demo_url)

    yield start
    for process in processes:
        process.end()


SHOWN = """
from django.conf import settings
from routing.table_loader import load_table
print(settings.UPSTREAM_PROXIES, load_table())
"""


def told_by_server(gateway: GatewayProcess) -> list[str]:
    paths = ("/providers", "/status", "/status/secure", "/health", "/metrics")
    return [*(gateway.get(path)[2].decode() for path in paths), gateway.log.read_text()]


def told_by_commands(gateway: GatewayProcess) -> list[str]:
    told = []
    for command in (["dump_config"], ["check_providers"], ["validate_env"], ["shell", "--no-imports", "-c", SHOWN]):
        program = [sys.executable, "manage.py", *command]
        done = subprocess.run(program, cwd=gateway.code, env=gateway.env, capture_output=True, text=True, check=False)
        assert done.stdout, done.stderr
        told += [done.stdout, done.stderr]
    assert "near" in told[-2], "the table was to be shown"
    return told


@pytest.mark.parametrize(
    ("fault", "client"), [("down", "lean"), ("wants another password", "lean"), ("wants another password", "aiohttp")]
)
def test_a_proxy_that_does_not_let_us_through_is_told_and_failed_over(
    another: Any, proxy: OutgoingProxy, fault: str, client: str
) -> None:
    port = free_port() if fault == "down" else proxy.port
    word = PASSWORD[::-1]
    gateway = another(f"http://{USER}:{word}@127.0.0.1:{port}", client)
    answers = {}
    for model in ("secure", "plain"):
        status, _, answer = ask(gateway, model)
        answers[model] = answer
        assert (status, json.loads(answer)["error"]["code"]) == (502, "upstream_error"), answer
        assert ask(gateway, model, stream=True)[0] == 502
    status, headers, _ = ask(gateway, "far-or-near")
    assert (status, headers["x-llm-proxy-provider"], headers["x-llm-proxy-attempts"]) == (200, "near", "2")
    if fault == "down":
        assert all("The proxy cannot be reached: Connection refused." in answer for answer in answers.values())
    else:
        assert "The proxy refused the tunnel with status 407: it wants a user and a password" in answers["secure"]
        assert "A proxy on the way to the provider wants a user and a password" in answers["plain"]
    told = [*answers.values(), *told_by_server(gateway)]
    if client == "aiohttp":
        told += told_by_commands(gateway)
    assert not re.search(f"{word[2:-2]}|{USER}:", "\n".join(told))
