import json

import pytest

from meshlogs.evidence.redirection import redirected

ALL = {
    "from": "istio-init",
    "include_ranges": "*",
    "exclude_ranges": ["169.254.169.254/32"],
    "mode": "REDIRECT",
}


def answer(host, ip, port, rules=ALL, **more):
    return redirected(host, ip, port, rules if rules is None else json.dumps(rules), **more).answer


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.0.3", "0.0.0.0", "::ffff:127.0.0.1"])
def test_loopback_is_never_redirected(host):
    assert answer(host, None, 6379) == "local"
    assert answer(host, None, 6379, rules=None) == "local"


def test_own_address_is_never_redirected():
    assert answer(None, "10.1.2.3", 80, pod_ip="10.1.2.3") == "local"
    assert answer(None, "10.1.2.4", 80, pod_ip="10.1.2.3") == "yes"


def test_rules_of_the_pod_decide():
    assert answer("redis", None, 6379) == "yes"
    assert answer(None, "10.0.0.7", 443, ALL | {"exclude_ranges": ["10.0.0.0/8"]}) == "no"
    assert answer("db", None, 5432, ALL | {"exclude_ports": ["5432"]}) == "no"
    assert answer(None, "10.0.0.7", 443, ALL | {"include_ranges": ["192.168.0.0/16"]}) == "no"
    assert answer(None, "192.168.1.1", 443, ALL | {"include_ranges": ["192.168.0.0/16"]}) == "yes"
    assert answer(None, "10.0.0.7", 443, ALL | {"include_ranges": [], "include_ports": ["443"]}) == "yes"
    assert answer(None, "10.0.0.7", 443, ALL | {"mode": "NONE"}) == "no"


def test_the_metadata_server_by_name_and_address():
    assert answer("metadata.google.internal", None, 80) == "no"
    assert answer(None, "169.254.169.254", 80) == "no"
    assert answer(None, "169.254.169.254", 80, rules=None) == "unknown"


def test_user_1337_bypasses():
    assert answer(None, "10.0.0.7", 443, as_proxy=True) == "no"


def test_what_cannot_be_known_is_unknown():
    assert answer("redis", None, 6379, rules=None) == "assumed"
    assert answer(None, None, None) == "unknown"
    assert answer("vault.vault.svc", None, 8200, ALL | {"exclude_ranges": ["10.9.0.0/16"]}) == "unknown"
    assert answer("db", None, None, ALL | {"exclude_ports": ["5432"]}) == "unknown"
    assert answer(None, "10.0.0.7", 1, ALL | {"exclude_ranges": ["not a range"]}) == "yes"
