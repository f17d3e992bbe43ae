import pytest

from accounts.rules import InvalidRuleError, address_allowed, check_names, check_networks, check_scopes, model_test


def test_no_pattern_allows_every_model():
    assert model_test([]) is None


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("gpt-4o", True),
        ("gpt-4o-mini", False),
        ("claude-3", True),
        ("xclaude-3", False),
        ("Claude-3", False),
        ("", False),
    ],
)
def test_patterns_match_whole_names(name, allowed):
    assert bool(model_test(["gpt-4o", "claude-*"])(name)) is allowed


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("10.1.2.3", True),
        ("11.1.2.3", False),
        ("::ffff:10.1.2.3", True),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        ("fe80::1%eth0", False),
        ("nonsense", False),
        (None, False),
    ],
)
def test_addresses_are_checked_in_both_families(address, allowed):
    assert address_allowed(["10.0.0.0/8", "2001:db8::/32"], address) is allowed


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (check_scopes, ["root"]),
        (check_scopes, "admin"),
        (check_networks, ["10.0.0.0/99"]),
        (check_names, [" "]),
        (check_names, ["gpt 4o"]),
    ],
)
def test_a_wrong_entry_is_refused(check, value):
    with pytest.raises(InvalidRuleError):
        check(value)
