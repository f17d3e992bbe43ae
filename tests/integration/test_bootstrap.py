"""Whether anything has to be migrated is told by names alone, and never wrongly; and who serves the demo, where."""

import socket
from io import StringIO
from urllib.request import Request, urlopen

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder

from providers.models import Provider, Source
from proxy_site.bootstrap import FirstStart, _all_applied, prepare
from proxy_site.embedded import DemoUpstream
from proxy_site.management.commands import serve
from routing.configuration.loading import load_file

pytestmark = pytest.mark.django_db


def planned() -> bool:
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def test_a_migrated_database_needs_nothing():
    assert _all_applied()
    assert not planned()


@pytest.mark.parametrize("app", ["routing", "accounts", "axes", "django_celery_beat"])
def test_a_single_missing_migration_is_noticed(app):
    applied = sorted(name for label, name in MigrationRecorder(connection).applied_migrations() if label == app)
    MigrationRecorder(connection).record_unapplied(app, applied[-1])
    assert planned()
    assert not _all_applied()


def test_a_database_of_a_later_version_needs_nothing():
    MigrationRecorder(connection).record_applied("routing", "9999_from_the_future")
    assert _all_applied()


def demo_answers() -> bool:
    """Where the database says that it is."""
    url = Provider.objects.get(source=Source.DEMO).base_url
    with urlopen(Request(f"{url}/models", headers={"authorization": "Bearer any"}), timeout=5) as answer:
        return bool(answer.status == 200)


@pytest.mark.parametrize("first_stops", [False, True], ids=["the second stops", "the first stops"])
def test_of_two_servers_on_the_same_data_either_may_stop_and_the_demo_of_the_other_answers(first_stops):
    servers = []
    for _ in range(2):
        demo = DemoUpstream(preferred_port=0)
        assert prepare(demo_base_url=demo.base_url).demo
        demo.start()
        servers.append(demo)
    stays, stops = servers[::-1] if first_stops else servers
    stops.stop()
    assert demo_answers()
    stays.stop()


def test_the_demo_is_not_said_to_be_alone_once_there_is_another_provider():
    assert prepare(demo_base_url="http://127.0.0.1:9").alone
    own = Provider.objects.create(name="own", kind="openai", base_url="http://127.0.0.1:9", enabled=False)
    assert prepare(demo_base_url="http://127.0.0.1:9").alone
    own.enabled = True
    own.save()
    assert not prepare(demo_base_url="http://127.0.0.1:9").alone


def test_a_demo_that_a_document_brought_is_given_its_key():
    prepare(demo_base_url="http://127.0.0.1:1/v1")
    credential = Provider.objects.get(source=Source.DEMO).credentials.get()
    credential.ciphertext = credential.hint = ""
    credential.save()
    prepare(demo_base_url="http://127.0.0.1:1/v1")
    credential.refresh_from_db()

    assert credential.reveal()


def test_a_demo_of_another_installations_document_stays_where_this_one_has_put_it(tmp_path):
    prepare(demo_base_url="http://127.0.0.1:2/v1")
    path = tmp_path / "dump.yaml"
    path.write_text("providers: [{name: demo, base_url: 'http://127.0.0.1:1/v1', managed_by: demo, priority: 7}]")
    load_file(str(path))
    provider = Provider.objects.get()

    assert (provider.base_url, provider.priority) == ("http://127.0.0.1:2/v1", 7)


@pytest.mark.parametrize("alone", [True, False])
def test_a_start_says_whether_only_the_demo_answers(alone):
    said = StringIO()
    serve.Command(stdout=said)._announce(FirstStart(demo=True, alone=alone), host="127.0.0.1", port=1, as_json=False)
    assert "DEMO" in said.getvalue()
    assert ("no provider has a key yet" in said.getvalue()) is alone


def test_a_port_that_somebody_else_has_taken_is_not_the_demos():
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        assert DemoUpstream(preferred_port=stranger.getsockname()[1]).port != stranger.getsockname()[1]


def test_a_start_on_the_port_where_the_demo_was_leaves_it_to_the_server():
    prepare(demo_base_url="http://127.0.0.1:8001/v1")
    demo = DemoUpstream(preferred_port=0, but_not=8001)
    assert demo.port != 8001
    prepare(demo_base_url=demo.base_url)
    assert Provider.objects.get(source=Source.DEMO).base_url == demo.base_url


def test_beside_a_server_on_the_last_port_the_demo_finds_one():
    assert 0 < DemoUpstream(preferred_port=65536).port <= 65535
