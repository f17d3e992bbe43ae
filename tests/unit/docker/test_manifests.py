"""What `docker/` holds loads in the real programs, and speaks of what exists.

A program that this machine lacks is named in the run's summary; what can be checked without it is checked anyway.
"""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings

from routing.endpoints.exchange import BODY_LIMIT_BYTES

ROOT = Path(__file__).parents[3]
DOCKER = ROOT / "docker"
K8S = sorted((DOCKER / "k8s").glob("*.yaml"))
UNITS = sorted((DOCKER / "systemd").glob("*.service"))
YAML = [path for path in sorted(DOCKER.rglob("*")) if path.suffix in (".yaml", ".yml")]
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(
        shutil.which(program) is None, reason=f"{program} is not installed: docker/ is not checked by it"
    )


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    done = subprocess.run([str(part) for part in command], check=False, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def documents() -> list[dict[str, Any]]:
    return [each for path in K8S for each in yaml.safe_load_all(path.read_text()) if each]


def of_kind(*kinds: str) -> list[dict[str, Any]]:
    return [each for each in documents() if each["kind"] in kinds]


def pods() -> list[tuple[str, dict[str, Any]]]:
    found = of_kind("Deployment", "StatefulSet", "Job")
    return [(each["metadata"]["name"], each["spec"]["template"]) for each in found]


def environment_names(text: str) -> set[str]:
    return set(re.findall(r"\b(?:PROXY_API_[A-Z_]+|DATABASE_URL|REDIS_URL|LOG_LEVEL|LOG_FORMAT)\b", text))


# -------------------------------------------------------------------------------------------------- with their programs


@needs("hadolint")
def test_hadolint_takes_the_dockerfile() -> None:
    run("hadolint", "--ignore", "DL3059", DOCKER / "Dockerfile")


@needs("yamllint")
def test_yamllint_takes_every_document() -> None:
    run("yamllint", "-d", "{extends: relaxed, rules: {line-length: {max: 160}}}", *YAML)


@needs("kubernetes-validate")
def test_kubernetes_validate_takes_every_manifest() -> None:
    run("kubernetes-validate", *[path for path in K8S if path.name != "kustomization.yaml"])


@needs("kubectl")
def test_kustomize_builds_the_whole(tmp_path: Path) -> None:
    shutil.copytree(DOCKER / "k8s", tmp_path / "k8s")
    shutil.copy(DOCKER / "k8s" / "secret.example.yaml", tmp_path / "k8s" / "secret.yaml")
    built = [each for each in yaml.safe_load_all(run("kubectl", "kustomize", tmp_path / "k8s")) if each]
    meant = [each["kind"] for each in documents() if each["kind"] != "Kustomization"]
    assert sorted(each["kind"] for each in built) == sorted(meant)


@needs("systemd-analyze")
@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_systemd_takes_the_unit(unit: Path, tmp_path: Path) -> None:
    """With programs that exist here in the places of the installed ones."""
    text = unit.read_text().replace("/opt/llm-proxy-api/.venv/bin/", "/usr/bin/").replace("/opt/llm-proxy-api", "/tmp")
    text = re.sub(r"/usr/bin/(celery|python)\b", "/usr/bin/env", text).replace("User=llmproxy", "User=root")
    copy = tmp_path / unit.name
    copy.write_text(text)
    told = [line for line in run("systemd-analyze", "verify", copy).splitlines() if unit.name in line]
    assert told == []


@needs("nginx")
@needs("openssl")
def test_nginx_takes_the_configuration(tmp_path: Path) -> None:
    run(
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=llm.example.com",
        "-keyout", tmp_path / "key.pem", "-out", tmp_path / "fullchain.pem",
    )  # fmt: skip
    site = (DOCKER / "nginx" / "llm-proxy.conf").read_text().replace("/etc/ssl/llm/", f"{tmp_path}/")
    main = f"pid {tmp_path}/pid; error_log stderr; events {{}} http {{ access_log off; {site} }}"
    (tmp_path / "nginx.conf").write_text(main)
    run("nginx", "-t", "-p", tmp_path, "-c", tmp_path / "nginx.conf")


@needs("haproxy")
def test_haproxy_takes_the_configuration() -> None:
    run("haproxy", "-c", "-f", DOCKER / "haproxy" / "haproxy.cfg")


# --------------------------------------------------------------------------------------------------------- without any


@pytest.mark.parametrize("path", YAML, ids=lambda path: str(path.relative_to(DOCKER)))
def test_every_document_is_yaml(path: Path) -> None:
    assert list(yaml.safe_load_all(path.read_text()))


def test_every_variable_is_one_that_the_settings_read() -> None:
    read = (ROOT / "proxy_site" / "settings.py").read_text()
    kinds = {f"PROXY_API_{kind}_API_KEY" for kind in settings.PROVIDER_KINDS_IN_ENVIRONMENT}
    for path in [*YAML, *UNITS, DOCKER / "Dockerfile", DOCKER / "entrypoint.sh"]:
        unknown = {name for name in environment_names(path.read_text()) if f'"{name}"' not in read} - kinds
        assert unknown == set(), path.name


def test_the_image_holds_every_part_of_the_program() -> None:
    copied = set(re.findall(r"^COPY (?:--\S+ )?(\S+)", (DOCKER / "Dockerfile").read_text(), re.M))
    assert {
        "manage.py",
        "proxy_site",
        "routing",
        "monitoring",
        "providers",
        "accounts",
        "rows",
        "templates",
        "static",
        "locale",
    } <= copied
    sent = (DOCKER / "Dockerfile.dockerignore").read_text()
    assert [path for path in copied if not path.startswith("/") and f"!{path}" not in sent] == []


def test_the_images_lock_is_the_products_without_what_develops_it() -> None:
    def pins(path: Path) -> set[str]:
        return set(re.findall(r"^[a-z0-9_.-]+(?:\[[^]]*\])?==\S+", path.read_text(), re.M))

    image, whole = pins(DOCKER / "requirements.lock"), pins(ROOT / "requirements.lock")
    assert image < whole, sorted(image - whole)
    assert not {pin for pin in image if pin.startswith(("pytest", "mypy", "ruff", "openai"))}


def test_no_pod_may_do_more_than_serve() -> None:
    for name, template in pods():
        spec = template["spec"]
        assert spec["automountServiceAccountToken"] is False, name
        for container in spec["containers"]:
            security = container["securityContext"]
            assert security["runAsNonRoot"], name
            assert security["readOnlyRootFilesystem"], name
            assert security["allowPrivilegeEscalation"] is False, name
            assert security["capabilities"]["drop"] == ["ALL"], name
            assert "memory" in container["resources"]["limits"], name
            assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/data", "/tmp"}, name


def test_pods_have_the_time_that_draining_takes() -> None:
    (configuration,) = of_kind("ConfigMap")
    drain_s = float(configuration["data"]["PROXY_API_DRAIN_TIMEOUT"])
    for name, template in pods():
        if name in ("llm-proxy-web", "llm-proxy-admin"):
            (container,) = template["spec"]["containers"]
            sleep_s = float(container["lifecycle"]["preStop"]["exec"]["command"][1])
            assert template["spec"]["terminationGracePeriodSeconds"] >= sleep_s + drain_s + 10, name
            probes = {container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")}
            assert probes == {"/livez", "/readyz"}


def test_gateway_and_control_plane_are_parted_and_every_service_finds_its_pods() -> None:
    arguments = {name: template["spec"]["containers"][0]["args"] for name, template in pods()}
    assert arguments["llm-proxy-web"][:3] == ["web", "--role", "gateway"]
    assert arguments["llm-proxy-admin"] == ["web", "--role", "admin"]
    labels = [template["metadata"]["labels"] for _, template in pods()]
    for service in of_kind("Service", "PodDisruptionBudget"):
        wanted = service["spec"]["selector"]
        wanted = wanted.get("matchLabels", wanted)
        assert any(wanted.items() <= each.items() for each in labels), service["metadata"]["name"]


def test_each_pod_of_the_gateway_counts_its_share_of_the_limits_while_redis_is_away() -> None:
    (web,) = of_kind("StatefulSet")
    (container,) = web["spec"]["template"]["spec"]["containers"]
    workers = {each["name"]: each["value"] for each in container["env"]}["PROXY_API_WORKERS"]
    assert workers == str(web["spec"]["replicas"])
    assert container["args"][-2:] == ["--workers", "1"]


def test_kustomize_lists_every_manifest() -> None:
    listed = set(yaml.safe_load((DOCKER / "k8s" / "kustomization.yaml").read_text())["resources"])
    # The secret is made from its example.
    there = {path.name for path in K8S} - {"kustomization.yaml", "secret.example.yaml"} | {"secret.yaml"}
    assert listed | {"secret.yaml"} == there


def test_prometheus_scrapes_a_name_and_a_token_that_compose_gives() -> None:
    scrape = yaml.safe_load((DOCKER / "prometheus" / "prometheus.yml").read_text())["scrape_configs"][0]
    (target,) = scrape["static_configs"][0]["targets"]
    host, port = target.split(":")
    assert host in COMPOSE["services"]["web"]["networks"]["default"]["aliases"]
    assert f"8000:{port}" in COMPOSE["services"]["web"]["ports"]
    (secret,) = COMPOSE["services"]["prometheus"]["secrets"]
    assert secret["target"] == scrape["authorization"]["credentials_file"]
    assert COMPOSE["secrets"][secret["source"]]["environment"] == "PROXY_API_METRICS_TOKEN"


def test_services_of_compose_write_only_to_their_volumes() -> None:
    for name in ("web", "worker", "beat", "migrate"):
        service = COMPOSE["services"][name]
        assert service["read_only"], name
        assert [volume.split(":")[1] for volume in service["volumes"]] == ["/data"], name


def test_units_keep_their_data_where_they_may_write() -> None:
    for unit in UNITS:
        text = unit.read_text()
        state = re.search(r"^StateDirectory=(\S+)$", text, re.M)
        assert state, unit.name
        assert f"Environment=PROXY_API_DATA_DIR=/var/lib/{state[1]}\n" in text, unit.name


def test_a_unit_that_migrates_may_take_as_long_as_that_takes() -> None:
    for unit in UNITS:
        text = unit.read_text()
        assert ("ExecStartPre=" in text) == ("\nTimeoutStartSec=infinity\n" in text), unit.name


def test_proxies_pass_streams_on_as_they_come() -> None:
    nginx = (DOCKER / "nginx" / "llm-proxy.conf").read_text()
    assert "proxy_buffering off;" in nginx
    assert "proxy_next_upstream off;" in nginx
    assert "option http-no-delay" in (DOCKER / "haproxy" / "haproxy.cfg").read_text()


def test_proxies_tell_by_which_address_and_how_a_client_came() -> None:
    nginx = (DOCKER / "nginx" / "llm-proxy.conf").read_text()
    assert "proxy_set_header Host $http_host;" in nginx, "a name without its port is another origin than the browser's"
    assert "proxy_set_header X-Forwarded-Proto $scheme;" in nginx
    haproxy = (DOCKER / "haproxy" / "haproxy.cfg").read_text()
    assert "http-request set-header X-Forwarded-Proto https if { ssl_fc }" in haproxy
    assert "http-request set-header X-Forwarded-Proto http unless { ssl_fc }" in haproxy


def test_a_body_that_the_gateway_refuses_reaches_it_for_its_own_words() -> None:
    allowed = re.search(r"client_max_body_size (\d+)m;", (DOCKER / "nginx" / "llm-proxy.conf").read_text())
    assert allowed is not None
    assert int(allowed[1]) * 1024 * 1024 > BODY_LIMIT_BYTES
