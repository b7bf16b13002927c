"""How a pod's traffic is redirected to its proxy: the arguments found in its spec, or its annotations."""

import re
from collections.abc import Iterator

from meshlogs.formats.tables import items_of, text_of

PROXY = "istio-proxy"
# Writes the rules; with the CNI plug-in only checks them. The arguments are the same.
INSTALLERS = ("istio-init", "istio-validation")

# Flags of istio-iptables -> ours. (istio/istio tools/istio-iptables/pkg/{cmd,constants})
FLAGS = {
    ("-m", "--istio-inbound-interception-mode"): "mode",
    ("-u", "--proxy-uid"): "proxy_uid",
    ("-g", "--proxy-gid"): "proxy_gid",
    ("-p", "--envoy-port"): "envoy_port",
    ("-z", "--inbound-capture-port"): "inbound_capture_port",
    ("-i", "--istio-service-cidr"): "include_ranges",
    ("-x", "--istio-service-exclude-cidr"): "exclude_ranges",
    ("-q", "--istio-outbound-ports"): "include_ports",
    ("-o", "--istio-local-outbound-ports-exclude"): "exclude_ports",
    ("-b", "--istio-inbound-ports"): "inbound_include_ports",
    ("-d", "--istio-local-exclude-ports"): "inbound_exclude_ports",
    ("-k", "--kube-virt-interfaces"): "virtual_interfaces",
    ("-c", "--istio-exclude-interfaces"): "exclude_interfaces",
}
_FLAG = {flag: name for flags, name in FLAGS.items() for flag in flags}

# (istio/istio pkg/kube/inject, annotations of traffic.sidecar.istio.io)
ANNOTATIONS = {
    "sidecar.istio.io/interceptionMode": "mode",
    "traffic.sidecar.istio.io/includeOutboundIPRanges": "include_ranges",
    "traffic.sidecar.istio.io/excludeOutboundIPRanges": "exclude_ranges",
    "traffic.sidecar.istio.io/includeOutboundPorts": "include_ports",
    "traffic.sidecar.istio.io/excludeOutboundPorts": "exclude_ports",
    "traffic.sidecar.istio.io/includeInboundPorts": "inbound_include_ports",
    "traffic.sidecar.istio.io/excludeInboundPorts": "inbound_exclude_ports",
    "traffic.sidecar.istio.io/kubevirtInterfaces": "virtual_interfaces",
    "traffic.sidecar.istio.io/excludeInterfaces": "exclude_interfaces",
}

# The same in the proxy's own settings, JSON or YAML; a template that brings no redirection (proxyless gRPC).
# (istio/istio pkg/kube/inject; manifests/charts/istio-control/istio-discovery/files/grpc-agent.yaml)
_CONFIG, _TEMPLATES = "proxy.istio.io/config", "inject.istio.io/templates"
_MODE = re.compile(r"\binterceptionMode[\"']?\s*:\s*[\"']?([A-Z]+)")

_PLAIN = {"mode", "proxy_uid", "proxy_gid", "envoy_port", "inbound_capture_port"}
_DEFAULTS = {
    "include_ranges": "*",
    "exclude_ranges": [],
    "include_ports": [],
    "exclude_ports": [],
    "inbound_exclude_ports": [],
    "proxy_uid": "1337",
    "mode": "REDIRECT",
}


def redirect_of(spec: dict, annotations: dict[str, str]) -> dict:
    """The redirection of a meshed pod: `from` (which part of the pod says so), `cni`, and the settings.

    `include_ranges` is "*" or a list like the other ranges and ports (texts, as written); `mode` is
    REDIRECT, TPROXY, or NONE where nothing is redirected (a gateway, or interception switched off).
    `from` is None where the pod says nothing: the settings are then Istio's defaults, and assumed.
    """
    containers = [*items_of(spec.get("initContainers")), *items_of(spec.get("containers"))]
    found = {name: item for item in containers if (name := text_of(item.get("name"))) in INSTALLERS}
    told = {ours: annotations[name] for name, ours in ANNOTATIONS.items() if name in annotations}
    if mode := _MODE.search(annotations.get(_CONFIG, "")):
        told.setdefault("mode", mode[1])
    if not found and "grpc" in annotations.get(_TEMPLATES, ""):
        told["mode"] = "NONE"
    settings = {"from": None, "cni": "istio-validation" in found, **_DEFAULTS}
    for name in INSTALLERS:
        arguments = dict(_arguments(found.get(name, {})))
        if arguments:
            return settings | {"from": name} | _values(arguments)
    if told:
        # The plug-in reads annotations; istio-init without arguments writes rules by its defaults.
        settings |= {"from": "annotations", "cni": "istio-init" not in found} | _values(told)
    elif found:
        settings["from"] = next(iter(found))
    if not found and _is_gateway(containers):
        settings["mode"] = "NONE"
    return settings


def _arguments(container: dict) -> Iterator[tuple[str, str]]:
    """Our name and value of each known flag in a container's command line."""
    words = [word for key in ("command", "args") for word in _words(container.get(key))]
    at = 0
    while at < len(words):
        flag, equals, value = words[at].partition("=")
        at += 1
        if flag not in _FLAG:
            continue
        if not equals:
            value = words[at] if at < len(words) else ""
            at += 1
        yield _FLAG[flag], value


def _words(value) -> list[str]:
    return [word for word in value if isinstance(word, str)] if isinstance(value, list) else []


def _values(settings: dict[str, str]) -> dict:
    values = {name: text if name in _PLAIN else _list(text) for name, text in settings.items()}
    if values.get("include_ranges") == ["*"]:
        values["include_ranges"] = "*"
    if "mode" in values:
        values["mode"] = values["mode"].upper() or _DEFAULTS["mode"]
    return values


def _list(text: str) -> list[str]:
    return [part for part in re.split(r"[\s,]+", text) if part]


def _is_gateway(containers: list[dict]) -> bool:
    """Whether the proxy runs as a gateway (`proxy router`), which no rules redirect to."""
    return any("router" in _words(item.get("args")) for item in containers if item.get("name") == PROXY)
