import pytest

from routing import policy_options
from routing.admin_forms import PolicyForm
from routing.configuration.problems import ConfigurationRefused
from routing.configuration.schema import read
from routing.strategies import Balance
from routing.table import GatewayPolicy, PolicySpec, build_table
from tests.unit.routing.pools import deployment

WRONG = ["soon", None, True, -1, float("nan"), float("inf"), [1]]


@pytest.mark.parametrize("value", WRONG)
@pytest.mark.parametrize("name", ["price", "load", "hedge_after"])
def test_what_is_no_number_is_named(name, value):
    assert list(policy_options.problems({name: value, "of your own": value})) == [name]


def test_numbers_are_fine_and_names_that_mean_nothing_are_told_with_the_nearest():
    assert not list(policy_options.problems({"price": 0, "errors": 2.5, "hedge_after": 1, "note": "x"}))
    found = dict(policy_options.unknown({"price": 0, "hedge_afer": 1, "note": "x"}))
    assert found == {"hedge_afer": "hedge_after?", "note": "one of price, latency, errors, load, hedge_after"}
    assert policy_options.balance({"hedge_after": 1}) is None
    assert policy_options.balance({"price": 1}) == Balance(price=1.0)


def test_a_route_hedges_as_the_first_policy_that_matches_says():
    policies = [
        PolicySpec(pattern="m", strategy="priority", options={"hedge_after": 2}),
        PolicySpec(pattern="*", strategy="priority", options={"hedge_after": 5}),
    ]
    deployments = [deployment(1), deployment(2, model="other")]
    table = build_table(revision=1, deployments=deployments, policies=policies, policy=GatewayPolicy())
    assert [table.routes[name].hedge_after_s for name in ("m", "other")] == [2.0, 5.0]
    assert build_table(revision=1, deployments=deployments).routes["m"].hedge_after_s == 0.0


def test_a_document_with_a_wrong_option_is_refused_with_its_place():
    document = b"route_policies:\n  - name: p\n    options: {hedge_after: soon}\n"
    with pytest.raises(ConfigurationRefused) as refused:
        read(document, file="config.yaml")
    (problem,) = refused.value.problems
    assert (problem.key, problem.found, problem.expected) == (
        "route_policies[0]", "options.hedge_after = 'soon'", "a number of at least 0",
    )  # fmt: skip
    assert problem.at.line == 2


def test_a_document_with_an_option_that_means_nothing_is_refused_with_its_place_and_the_nearest_name():
    document = b"route_policies:\n  - name: p\n    options: {hedge_afer: 2}\n"
    with pytest.raises(ConfigurationRefused) as refused:
        read(document, file="config.yaml")
    (problem,) = refused.value.problems
    assert (problem.key, problem.found, problem.expected) == (
        "route_policies[0].options.hedge_afer", "an unknown key", "hedge_after?",
    )  # fmt: skip


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ('{"price": "much"}', "price"),
        ('{"hedge_afer": 2}', "hedge_after?"),
        ("[]", "JSON object"),
        ("5", "JSON object"),
        ('{"price": 1}', ""),
        ("", ""),
    ],
)
def test_the_admin_form_refuses_it_too(options, complaint):
    form = PolicyForm({"name": "p", "pattern": "*", "position": 1, "strategy": "balanced", "options": options})
    assert complaint in str(form.errors.get("options", ""))
    assert form.is_valid() is (complaint == "")
