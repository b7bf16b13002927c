"""Whether a connection was redirected to the proxy: by the pod's own rules, else assumed and said so.

The order of the rules is that of Istio's chain ISTIO_OUTPUT
(istio/istio `tools/istio-iptables/pkg/capture/run.go`, the same since 1.3).
"""

import ipaddress
import json
from functools import lru_cache
from typing import NamedTuple

PROXY_ID = "1337"
METADATA_SERVER = "169.254.169.254"
METADATA_HOSTS = {"metadata", "metadata.google.internal"}
LOCAL_HOSTS = {"localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"}


class Redirection(NamedTuple):
    """The answer for one destination, and why.

    `answer`: "yes" (by the pod's rules), "assumed" (the mesh's defaults, for want of a spec or of what it says),
    "local" (inside the pod), "no" (bypasses the proxy by its rules), "unknown" (the rules exclude
    ranges and the text gives a name, no address).
    """

    answer: str
    reason: str


@lru_cache(maxsize=10_000)
def redirected(
    host: str | None,
    ip: str | None,
    port: int | None,
    rules: str | None = None,
    pod_ip: str | None = None,
    as_proxy: bool = False,
    pod: tuple[str, str] | None = None,
) -> Redirection:
    """Whether a TCP connection of a container to this destination went to the proxy.

    `rules` is the JSON of `pods.redirect` (None: no spec in the export), `pod_ip` the pod's own addresses, joined by
    ",", `as_proxy` whether the connecting container runs with the proxy's user or group, `pod` the pod's name and
    namespace.
    """
    address = address_of(ip) or address_of(host)
    name = (host or "").lower().rstrip(".")
    if _is_local(name, address, pod_ip) or (pod and _is_own_name(name, *pod)):
        return Redirection("local", "loopback or the pod's own address")
    if name in METADATA_HOSTS and port in (None, 80):
        address = address_of(METADATA_SERVER)
    if as_proxy:
        return Redirection("no", "user_1337")
    if not name and address is None:
        return Redirection("unknown", "destination_unstated")
    if rules is None:
        if str(address) == METADATA_SERVER:
            return Redirection("unknown", "metadata_server")
        return Redirection("assumed", "no_pod_spec")
    known = json.loads(rules)
    answer = _by_rules(known, address, port)
    if answer.answer == "yes" and known.get("users") == "unknown":  # the proxy's own user is let through
        return Redirection("assumed", "user_not_shown")
    return answer


def _by_rules(rules: dict, address, port: int | None) -> Redirection:
    if rules.get("mode") == "NONE":
        return Redirection("no", "interception_off")
    if port is not None and port in _ports(rules, "exclude_ports"):
        return Redirection("no", "excluded_port")
    excluded, included = rules.get("exclude_ranges") or [], rules.get("include_ranges", "*")
    only_metadata = all(_covers(METADATA_SERVER, entry) and entry.endswith("/32") for entry in excluded)
    if address is not None:
        if any(_covers(str(address), entry) for entry in excluded):
            metadata = str(address) == METADATA_SERVER
            return Redirection("no", "metadata_server" if metadata else "excluded_range")
    elif excluded and not only_metadata:
        return Redirection("unknown", "destination_unresolved")
    if port is None and _ports(rules, "exclude_ports"):
        return Redirection("unknown", "port_unstated")
    include_ports = rules.get("include_ports")
    if port is not None and port in _ports(rules, "include_ports"):
        return Redirection("yes", "included_port")
    if included in ("*", ["*"], None):
        told = rules.get("from")
        return Redirection("yes", told) if told else Redirection("assumed", "rules_not_shown")
    if not included and not include_ports:
        return Redirection("no", "nothing_included")
    if address is None:
        return Redirection("unknown", "destination_unresolved")
    if any(_covers(str(address), entry) for entry in included):
        return Redirection("yes", "included_range")
    return Redirection("no", "range_not_included")


def _is_local(name: str, address, pod_ip: str | None) -> bool:
    if name in LOCAL_HOSTS or name.endswith(".localhost"):
        return True
    if address is None:
        return False
    own = map(address_of, (pod_ip or "").split(","))
    return address.is_loopback or address.is_unspecified or address in own


def _is_own_name(name: str, pod: str, namespace: str) -> bool:
    """Whether a pod's host name is its own: the kubelet writes it, alone and with its domain, into `/etc/hosts`.

    Names that several pods may have (a bare pod called as a service is) count only alone.
    """
    first, *domain = name.split(".")
    if first != pod or not domain:
        return first == pod
    numbered = pod.rpartition("-")[2].isdecimal()
    return numbered and (len(domain) < 2 or domain[1] == namespace)


def address_of(text: str | None):
    """The address that a text is, IPv4 for a mapped one; None if it is none."""
    try:
        address = ipaddress.ip_address(text) if text else None
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def _covers(address: str, entry: str) -> bool:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(entry.strip(), strict=False)
    except ValueError:
        return False


def _ports(rules: dict, key: str) -> set[int]:
    return {int(port) for port in rules.get(key) or [] if str(port).strip().isdigit()}
