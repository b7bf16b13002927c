"""The patches, put through kubectl and kustomize themselves and the Kubernetes schema: valid, effective, idempotent."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from meshlogs.evidence.redirection import redirected
from meshlogs.formats.redirect import redirect_of
from meshlogs.output import _patches
from meshlogs.remedies import manifests

_spec = importlib.util.spec_from_file_location("cases", Path(__file__).with_name("cases.py"))
cases = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(cases)
advice, error, fact, pod, start, vault = (
    getattr(cases, name) for name in ("advice", "error", "fact", "pod", "start", "vault")
)

# With Linux it comes with the extra `test`; elsewhere it must be installed.
KUBECTL = shutil.which("kubectl", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
KUBERNETES = "1.34"

# The fields of ProxyConfig that are used or may be found, by their JSON names. (istio/api mesh/v1alpha1/proxy.proto)
DURATION = {"type": "string", "pattern": r"^\d+(\.\d+)?s$"}
PROXY_CONFIG = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "holdApplicationUntilProxyStarts": {"type": "boolean"},
        "terminationDrainDuration": DURATION,
        "drainDuration": DURATION,
        "concurrency": {"type": "integer"},
        "proxyMetadata": {"type": "object", "additionalProperties": {"type": "string"}},
        "tracing": {"type": "object"},
    },
}
# The parts of IstioOperator that are used. (istio/istio operator/pkg/apis; the charts' values.yaml; pilot's features)
TEXT = {"type": "string"}
OPERATOR = {
    "type": "object",
    "required": ["apiVersion", "kind", "spec"],
    "additionalProperties": False,
    "properties": {
        "apiVersion": {"const": "install.istio.io/v1alpha1"},
        "kind": {"const": "IstioOperator"},
        "spec": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "meshConfig": {"type": "object", "properties": {"defaultConfig": PROXY_CONFIG}},
                "values": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {"global": {"type": "object", "properties": {"proxy": {
                        "type": "object",
                        "additionalProperties": False,
                        "properties": {
                            "holdApplicationUntilProxyStarts": {"type": "boolean"},
                            "excludeIPRanges": TEXT,
                            "excludeOutboundPorts": TEXT,
                        },
                    }}}},
                },
                "components": {"type": "object", "additionalProperties": False, "properties": {"pilot": {
                    "type": "object", "additionalProperties": False, "properties": {"k8s": {
                        "type": "object", "additionalProperties": False, "properties": {"env": {
                            "type": "array", "items": {"type": "object", "required": ["name", "value"],
                                                       "additionalProperties": False,
                                                       "properties": {"name": TEXT, "value": TEXT}}}}}}}}},
            },
        },
    },
}  # fmt: skip
ISTIO_ANNOTATIONS = {  # istio.io/latest/docs/reference/config/annotations, developer.hashicorp.com/vault injector
    "proxy.istio.io/config",
    "sidecar.istio.io/nativeSidecar",
    "sidecar.istio.io/proxyCPU",
    "sidecar.istio.io/proxyCPULimit",
    "sidecar.istio.io/proxyMemory",
    "sidecar.istio.io/proxyMemoryLimit",
    "traffic.sidecar.istio.io/excludeOutboundIPRanges",
    "traffic.sidecar.istio.io/excludeOutboundPorts",
    "vault.hashicorp.com/agent-init-first",
}
OWN = {"example.com/team": "payments", "proxy.istio.io/config": "concurrency: 4\nproxyMetadata: {A: b}\n"}


def template():
    """A pod template as a user would write it, before injection."""
    return {
        "metadata": {"labels": {"app": "web"}, "annotations": dict(OWN)},
        "spec": {
            "containers": [
                {"name": "web", "image": "registry.example/web:1", "env": [{"name": "MODE", "value": "fast"}]},
                {"name": "metrics", "image": "registry.example/metrics:1"},
            ],
        },
    }


def manifest(controller):
    metadata = {"name": "web", "namespace": "shop"}
    selector = {"selector": {"matchLabels": {"app": "web"}}}
    inner = template()
    spec = {
        "Deployment": selector | {"template": inner},
        "StatefulSet": selector | {"serviceName": "web", "template": inner},
        "DaemonSet": selector | {"template": inner},
        "ReplicaSet": selector | {"template": inner},
        "Job": {"template": inner},
        "CronJob": {"schedule": "0 * * * *", "jobTemplate": {"spec": {"template": inner}}},
    }
    if controller == "Pod":
        metadata |= template()["metadata"]
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template()["spec"]}
    if controller in ("Job", "CronJob"):
        inner["spec"]["restartPolicy"] = "Never"
    document = {"apiVersion": manifests.TEMPLATED[controller], "kind": controller}
    return document | {"metadata": metadata, "spec": spec[controller]}


def template_of(document):
    spec = document["spec"]
    if document["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    return document if document["kind"] == "Pod" else spec["template"]


def kubectl(*arguments):
    answer = subprocess.run([KUBECTL, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def applied(document, patch, folder):
    """The object after `kubectl patch`, by kubectl's own strategic merge; no cluster is asked."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "object.json").write_text(json.dumps(document))
    (folder / "patch.yaml").write_text(patch)
    return json.loads(
        kubectl("patch", "--local", "-f", folder / "object.json", "--patch-file", folder / "patch.yaml", "-o", "json")
    )


def advised(controller="Deployment", containers=("web", "metrics", "istio-proxy")):
    """Every remedy there is, for one workload that had every harm."""
    stalled, logins = vault(number=2, controller=controller)
    here = pod(
        containers=containers,
        init=("istio-init", "vault-agent-init"),
        annotations=OWN,
        redirect={"exclude_ranges": ["169.254.169.254/32"]},
    )
    errors = [error(), *logins, error("proxy_outage", second=90.0), error("shutdown_race", second=120.0)]
    facts = [fact("container_died", 89.0, value="OOMKilled 137"), fact("pod_stopping", 110.0, container=None)]
    return advice([start(controller=controller), stalled], errors, [here, here | {"pod_uid": "0000-2"}], facts)


ALL = ["agent_init_first", "drain", "exclude_outbound", "exclude_ports", "hold_application", "native_sidecar",
       "proxy_resources", "wait_for_proxy"]  # fmt: skip


@pytest.mark.parametrize(
    "controller", ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "Pod"]
)
def test_kubectl_takes_each_patch_and_the_result_is_valid(controller, tmp_path):
    patches = advised(controller)["patch"].dropna()
    before = manifest(controller)
    kubernetes_validate.validate(before, KUBERNETES, strict=True)
    assert sorted(patches.index) == [name for name in ALL if name != "hold_application" or "Job" not in controller]
    for name, patch in patches.items():
        once = applied(before, patch, tmp_path / name)
        kubernetes_validate.validate(once, KUBERNETES, strict=True)
        assert once != before, name
        assert applied(once, patch, tmp_path / name) == once, f"{name} twice is not the same as once"
        was, now = template_of(before), template_of(once)
        assert set(was["metadata"]["annotations"]) <= set(now["metadata"]["annotations"])
        assert now["metadata"]["annotations"]["example.com/team"] == "payments"
        assert set(now["metadata"]["annotations"]) - set(OWN) <= ISTIO_ANNOTATIONS
        assert [item["image"] for item in now["spec"]["containers"]] == [
            item["image"] for item in was["spec"]["containers"]
        ]


def effects_of(name, tmp_path):
    before = manifest("Deployment")
    return template_of(applied(before, advised().loc[name, "patch"], tmp_path))


def config_of(pod_template):
    config = yaml.safe_load(pod_template["metadata"]["annotations"]["proxy.istio.io/config"])
    jsonschema.validate(config, PROXY_CONFIG)
    assert config["concurrency"] == 4 and config["proxyMetadata"]["A"] == "b", "what was there is kept"
    return config


def test_hold_has_its_effect(tmp_path):
    assert config_of(effects_of("hold_application", tmp_path))["holdApplicationUntilProxyStarts"] is True


def test_drain_has_its_effect(tmp_path):
    config = config_of(effects_of("drain", tmp_path))
    # the last refusal came 10 s after the stop, and 5 s are added
    assert config["terminationDrainDuration"] == "15s"
    assert config["proxyMetadata"]["MINIMUM_DRAIN_DURATION"] == "15s"


def test_annotations_have_their_effect(tmp_path):
    notes = effects_of("native_sidecar", tmp_path)["metadata"]["annotations"]
    assert notes["sidecar.istio.io/nativeSidecar"] == "true"
    notes = effects_of("agent_init_first", tmp_path)["metadata"]["annotations"]
    assert notes["vault.hashicorp.com/agent-init-first"] == "true"


@pytest.mark.parametrize("name", ["exclude_outbound", "exclude_ports"])
def test_vault_is_no_longer_redirected_and_all_else_is(name, tmp_path):
    """By the rules that the annotations of the patched template give."""
    patched = effects_of(name, tmp_path)
    rules = json.dumps(redirect_of(patched["spec"], patched["metadata"]["annotations"]))
    assert redirected("vault.vault.svc", "10.96.10.4", 8200, rules).answer == "no"
    assert redirected("redis", "10.96.10.1", 6379, rules).answer == "yes"
    if name == "exclude_outbound":
        assert redirected("metadata", "169.254.169.254", 80, rules).answer == "no", "what was excluded stays so"


def test_the_application_learns_where_to_ask(tmp_path):
    containers = {item["name"]: item for item in effects_of("wait_for_proxy", tmp_path)["spec"]["containers"]}
    told = {item["name"]: item["value"] for item in containers["web"]["env"]}
    assert told == {"MODE": "fast", "PROXY_READY_URL": "http://localhost:15021/healthz/ready"}
    assert "istio-proxy" not in containers


def test_kustomize_takes_each_component(tmp_path):
    found = advised()
    _patches(found.reset_index(), tmp_path)
    base = tmp_path / "base"
    base.mkdir()
    (base / "web.json").write_text(json.dumps(manifest("Deployment")))
    (base / "kustomization.yaml").write_text("resources: [web.json]\n")
    components = sorted(path.parent for path in tmp_path.rglob("patches/*/*/kustomization.yaml"))
    assert [path.name for path in components] == ALL
    for path in components:
        kubectl("kustomize", path)  # by itself it builds to nothing
        mine = tmp_path / f"mine-{path.name}"
        mine.mkdir()
        relative = Path("..") / path.relative_to(tmp_path)
        (mine / "kustomization.yaml").write_text(f"resources: [../base]\ncomponents: [{relative}]\n")
        built = yaml.safe_load(kubectl("kustomize", mine))
        kubernetes_validate.validate(built, KUBERNETES, strict=True)
        assert built == applied(manifest("Deployment"), found.loc[path.name, "patch"], tmp_path / "patched")


def test_mesh_wide_patches_are_istio_operators():
    found = advised()
    told = {name: yaml.safe_load(text) for name, text in found["mesh_patch"].dropna().items()}
    assert set(told) == {"hold_application", "native_sidecar", "exclude_outbound", "exclude_ports"}
    for document in told.values():
        jsonschema.validate(document, OPERATOR)
    proxy = told["exclude_outbound"]["spec"]["values"]["global"]["proxy"]
    assert proxy == {"excludeIPRanges": "169.254.169.254/32,10.96.10.4/32"}
    old = advice([start(proxy_version="1.7.3")], pods=[pod()]).loc["hold_application", "mesh_patch"]
    assert yaml.safe_load(old)["spec"]["values"]["global"]["proxy"] == {"holdApplicationUntilProxyStarts": True}


HOSTILE = ["../../etc/cron.d/x", "a/b", "..", "web\nspec: {}", ".*", "WEB", "-", "a" * 300, "\x1b[31m", "ü", "${x}", ""]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_no_path_and_no_patch(name, tmp_path):
    out = tmp_path / "out"
    found = advice([start(workload=name)], [error()], [pod()])
    assert found["patch"].isna().all(), "no object can have that name"
    _patches(found.reset_index(), out)
    assert all(path.is_relative_to(out) for path in tmp_path.rglob("*") if path.is_file())


def test_names_that_look_alike_have_folders_of_their_own():
    names = ["a.b", "a-b", "a..b"]
    rows = [start(number=at, workload=name) for at, name in enumerate(names)]
    found = advice(rows, [error(number=at) for at in range(3)], [pod(at) for at in range(3)])
    folders = {Path(name).parent.parent for name in found.loc["hold_application", "patch_file"]}
    assert len(folders) == 3
    assert found.loc["hold_application", "patch"].notna().sum() == 2


yaml_values = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text(min_size=1, max_size=8), yaml_values, max_size=4))
def test_a_setting_is_added_and_all_else_kept(config):
    text = yaml.safe_dump(config)
    merged = yaml.safe_load(manifests.config_with(text, {"proxyMetadata": {"A": "1"}}))
    rest = {key: value for key, value in config.items() if key != "proxyMetadata"}
    assert {key: value for key, value in merged.items() if key != "proxyMetadata"} == rest
    old = config.get("proxyMetadata")
    assert merged["proxyMetadata"] == (old if isinstance(old, dict) else {}) | {"A": "1"}
    assert manifests.config_with(manifests.config_with(text, {"a": 1}), {"a": 1}) == manifests.config_with(
        text, {"a": 1}
    )


@pytest.mark.parametrize("text", ["{", "a: b: c", "[1, 2]", "just words", "d: 2020-13-45"])
def test_a_configuration_that_cannot_be_read_is_never_overwritten(text):
    found = advice(pods=[pod(annotations={"proxy.istio.io/config": text})]).loc["hold_application"]
    assert not isinstance(found["patch"], str)
    assert not found["applies"]


def test_kubectl_is_there():
    assert KUBECTL, "kubectl comes with the extra test on Linux; elsewhere install it"
