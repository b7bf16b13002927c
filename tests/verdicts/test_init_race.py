"""Pods whose init containers need the network, in real export forms: before and behind the redirection, and beside it.

Lines are those of Vault's agent (hashicorp/vault command/agentproxyshared/auth/auth.go; hashicorp/vault-k8s#29,
linkerd/linkerd2#11124); the pods' shapes those of the injectors (istio/istio pkg/kube/inject, hashicorp/vault-k8s).
"""

import json

import pytest

import meshlogs as ml
from meshlogs import times

EPOCH = times.parse_ns("2026-03-02T09:00:00Z")
VAULT, PORT = "10.96.10.4", 8200
ARGUMENTS = ["istio-iptables", "-p", "15001", "-z", "15006", "-u", "1337", "-m", "REDIRECT", "-i", "*",
             "-x", "169.254.169.254/32", "-b", "*", "-d", "15090,15021,15020"]  # fmt: skip


def stamp(second):
    return times.text(EPOCH + round(second * times.SECOND))


def floored(second):
    return times.text((EPOCH + round(second * times.SECOND)) // times.SECOND * times.SECOND)


def refused(backoff="1.53s", ip=VAULT, port=PORT):
    url = f"http://vault.vault.svc:{port}/v1/auth/kubernetes/login"
    return (
        '2026-03-02T09:00:03.000Z [ERROR] agent.auth.handler: error authenticating: error="Put \\"' + url + '\\": dial '
        f'tcp {ip}:{port}: connect: connection refused" backoff={backoff}'
    )


SUCCESS = "2026-03-02T09:00:04.000Z [INFO]  agent.auth.handler: authentication successful, sending token to sinks"
TRYING = "2026-03-02T09:00:02.000Z [INFO]  agent.auth.handler: authenticating"
HANGING = [(0.5, TRYING), (0.6, refused()), (2.4, refused("2.9s")), (5.6, refused("6.1s"))]
# Other causes, each in the same place. (hashicorp/vault-helm#592, hashicorp/vault-k8s#41)
OTHERS = {
    "timeout": 'error authenticating: error="context deadline exceeded" backoff=2s',
    "policy": 'error authenticating: error="Code: 403. Errors: * permission denied" backoff=2s',
    "certificate": 'error authenticating: error="Put \\"https://vault\\": x509: unknown authority"',
    "dns": 'error authenticating: error="Put \\"http://vault.vault.svc:8200\\": dial tcp: lookup vault.vault.svc on '
    '10.96.0.10:53: no such host" backoff=2s',
    "reset": 'error authenticating: error="read tcp 10.1.1.1:5->10.96.10.4:8200: read: connection reset by peer"',
}


class Export:
    """A folder of log entries, events and pods, told pod by pod; `other` keeps the export going for ten minutes."""

    def __init__(self, folder):
        self.folder, self.entries, self.pods = folder, [], []
        self.log("other-5d4f7c9b4d-zzzzz", "app", 600, "still here")

    def row(self, second, log, kind, labels, **more):
        self.entries.append({
            "insertId": f"i{len(self.entries):06d}", "logName": f"projects/p/logs/{log}", "timestamp": stamp(second),
            "receiveTimestamp": stamp(second + 1), "severity": "INFO",
            "resource": {"type": kind, "labels": {"project_id": "p", "location": "l", "cluster_name": "c",
                                                  "namespace_name": "shop"} | labels}, **more,
        })  # fmt: skip

    def log(self, pod, container, second, text):
        self.row(second, "stderr", "k8s_container", {"pod_name": pod, "container_name": container}, textPayload=text)

    def event(self, pod, second, reason, message, container=None, init=False):
        part = "initContainers" if init else "containers"
        about = {"kind": "Pod", "name": pod, "namespace": "shop", "uid": f"uid-{pod}"}
        about |= {"fieldPath": f"spec.{part}{{{container}}}"} if container else {}
        payload = {"kind": "Event", "involvedObject": about, "reason": reason, "message": message, "type": "Normal",
                   "lastTimestamp": floored(second), "metadata": {"name": f"{pod}.1", "uid": f"{pod}{second}"},
                   "source": {"component": "kubelet"}}  # fmt: skip
        self.row(second, "events", "k8s_pod", {"pod_name": pod}, jsonPayload=payload)

    def pod(self, name, init, *, lines=(), hangs=None, arguments=(), run_as=None, native=False, logs_of=None, ran=None,
            image="hashicorp/vault:1.15", spec=True, events=True):  # fmt: skip
        """A pod whose init containers start a second apart; `hangs` names the one that never ends."""
        name = f"{name}-6d5f7c9b4d-x2x4z"
        second, states, started = 1.0, [], {}
        self.event(name, 0.2, "Scheduled", f"Successfully assigned shop/{name} to node")
        for container in init:
            started[container] = second
            if events:
                self.event(name, second, "Created", f"Created container {container}", container, init=True)
                self.event(name, second, "Started", f"Started container {container}", container, init=True)
            state = {"running": {"startedAt": floored(second)}}
            if container not in (hangs, "istio-proxy"):
                state = {"terminated": {"startedAt": floored(second), "finishedAt": floored(second + 0.9),
                                        "exitCode": 0, "reason": "Completed"}}  # fmt: skip
            states.append({"name": container, "state": state, "restartCount": 0, "ready": container != hangs})
            if container == hangs:
                break
            second += 1.0
        for after, text in lines:
            self.log(name, logs_of or hangs, started[logs_of or hangs] + after, text)
        regular = ["web"] if native else ["web", "istio-proxy"]
        if ran is not None:
            for container in regular:
                self.event(name, ran, "Started", f"Started container {container}", container)
            self.log(name, "web", ran + 0.1, "listening")
        containers = [{"name": item, "image": "app:1" if item == "web" else "istio/proxyv2:1.20.3"} for item in regular]
        inits = []
        for container in init:
            item = {
                "name": container,
                "image": image if container == hangs or "vault" in container else "proxyv2:1.20.3",
            }
            if container in ("istio-init", "istio-validation"):
                item["args"] = [*ARGUMENTS, *arguments]
                item["args"] += ["--run-validation", "--skip-rule-apply"] if container == "istio-validation" else []
            if container == "istio-proxy":
                item["restartPolicy"] = "Always"
            if run_as and container == hangs:
                item["securityContext"] = {"runAsUser": run_as}
            inits.append(item)
        running = ran is not None
        if spec:
            self.pods.append({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": name, "namespace": "shop", "uid": f"uid-{name}", "creationTimestamp": floored(0)},
                "spec": {"initContainers": inits, "containers": containers, "restartPolicy": "Always"},
                "status": {"phase": "Running" if running else "Pending", "podIP": "10.1.1.1",
                           "conditions": [{"type": "Initialized", "status": "True" if running else "False",
                                           "reason": None if running else "ContainersNotInitialized",
                                           "lastTransitionTime": floored(0.2)}],
                           "initContainerStatuses": states,
                           "containerStatuses": [] if running else [
                               {"name": item, "restartCount": 0, "ready": False,
                                "state": {"waiting": {"reason": "PodInitializing"}}} for item in regular]},
            })  # fmt: skip
        return self

    def judged(self):
        """(outcome, reason of the start, verdicts with certainties of its errors) of the one pod told."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "logs.json").write_text("\n".join(map(json.dumps, self.entries)) + "\n")
        if self.pods:
            listed = {"apiVersion": "v1", "kind": "List", "items": self.pods}
            (self.folder / "pods.json").write_text(json.dumps(listed))
        fleet = ml.analyse(self.folder)
        start = fleet.starts[fleet.starts["workload"] != "other"].iloc[0]
        told = set(zip(fleet.errors["verdict"], fleet.errors["certainty"].fillna(""), strict=True))
        reason = start["reason"] if isinstance(start["reason"], str) else None
        return start["outcome"], reason, told


BEHIND = ["istio-init", "vault-agent-init"]
CNI = ["istio-validation", "vault-agent-init"]


@pytest.fixture
def export(tmp_path):
    return Export(tmp_path / "export")


@pytest.mark.parametrize("init", [BEHIND, CNI, ["vault-agent-init", "istio-validation"]], ids=" ".join)
def test_behind_the_redirection_every_login_is_refused_and_the_pod_hangs(export, init):
    export.pod("web", init, hangs="vault-agent-init", lines=HANGING)
    assert export.judged() == ("init_stalled", None, {("init_race", "proven")})


def test_the_json_lines_of_the_agent_count_too(export):
    told = {
        "@level": "error", "@module": "agent.auth.handler", "@message": "error authenticating", "backoff": "1.5s",
        "error": f'Put "http://vault.vault.svc:8200/v1/auth/kubernetes/login": dial tcp {VAULT}:8200: connect: '
        "connection refused",
    }  # fmt: skip
    export.pod("web", BEHIND, hangs="vault-agent-init")
    labels = {"pod_name": "web-6d5f7c9b4d-x2x4z", "container_name": "vault-agent-init"}
    export.row(3.0, "stderr", "k8s_container", labels, jsonPayload=told)
    assert export.judged() == ("init_stalled", None, {("init_race", "proven")})


@pytest.mark.parametrize("init", [BEHIND, CNI], ids=" ".join)
def test_a_stalled_agent_is_found_though_it_says_nothing(export, init):
    export.pod("web", init, hangs="vault-agent-init")
    assert export.judged() == ("init_stalled", "init_silent", set())


def test_a_silent_agent_is_found_by_its_state_alone(export):
    export.pod("web", BEHIND, hangs="vault-agent-init", events=False)
    assert export.judged()[:2] == ("init_stalled", "init_silent")


def test_any_init_container_that_talks_to_the_network(export):
    line = "dial tcp 10.96.10.3:5432: connect: connection refused"
    export.pod("web", ["istio-init", "migrate"], hangs="migrate", lines=[(0.5, line), (3.0, line)], image="migrate:2")
    assert export.judged() == ("init_stalled", None, {("init_race", "proven")})


# No race


def test_before_istio_init_a_refusal_is_vaults_own(export):
    """Vault is down, and the agent was never redirected."""
    export.pod("web", ["vault-agent-init", "istio-init"], hangs="vault-agent-init", lines=HANGING)
    assert export.judged() == ("undetermined", "init_running", {("upstream", "proven")})


@pytest.mark.parametrize("arguments", [["-o", "8200"], ["-x", f"169.254.169.254/32,{VAULT}/32"], ["-i", "10.0.0.0/16"]])
def test_an_excluded_vault_that_is_down_is_no_race(export, arguments):
    export.pod("web", BEHIND, hangs="vault-agent-init", lines=HANGING, arguments=arguments)
    outcome, reason, told = export.judged()
    assert (outcome, reason, told) == ("undetermined", "init_running", {("upstream", "proven")})


def test_the_proxys_own_user_is_never_redirected(export):
    export.pod("web", BEHIND, hangs="vault-agent-init", lines=HANGING, run_as=1337)
    assert export.judged() == ("undetermined", "app_not_started", {("upstream", "proven")})


def test_behind_a_native_sidecar_it_is_proxied(export):
    init = ["istio-init", "istio-proxy", "vault-agent-init"]
    export.pod("web", init, hangs="vault-agent-init", lines=[(0.5, OTHERS["reset"])], native=True)
    assert export.judged() == ("undetermined", "init_running", set())


def test_agent_first_under_native_and_cni_is_behind_again(export):
    init = ["vault-agent-init", "istio-validation", "istio-proxy"]
    export.pod("web", init, hangs="vault-agent-init", lines=HANGING, native=True)
    assert export.judged() == ("init_stalled", None, {("init_race", "proven")})


@pytest.mark.parametrize("cause", OTHERS)
def test_other_causes_in_the_same_place_are_not_this_race(export, cause):
    export.pod("web", BEHIND, hangs="vault-agent-init", lines=[(0.5, TRYING), (1.0, OTHERS[cause])])
    assert export.judged() == ("undetermined", "init_running", set())


def test_a_slow_but_healthy_init_is_not_this_race(export):
    lines = [(after, f"migrated {after} of 90 tables") for after in range(0, 90, 10)]
    export.pod("web", ["istio-init", "migrate"], hangs="migrate", lines=lines, image="migrate:2")
    assert export.judged() == ("undetermined", "init_running", set())


def test_a_slow_init_that_says_nothing_is_not_called_stalled(export):
    export.pod("web", ["istio-init", "copy"], hangs="copy", image="busybox:1")
    assert export.judged() == ("undetermined", "init_running", set())


def test_a_slow_init_that_ended_is_over(export):
    export.pod("web", ["istio-init", "copy"], image="busybox:1", ran=90.0)
    outcome, reason, told = export.judged()
    assert outcome not in ("init_stalled",) and reason != "init_running" and told == set()


def test_a_healthy_agent_before_istio_init(export):
    export.pod("web", ["vault-agent-init", "istio-init"], lines=[(0.2, TRYING), (0.5, SUCCESS)],
               logs_of="vault-agent-init", ran=4.0)  # fmt: skip
    outcome, _, told = export.judged()
    assert outcome != "init_stalled" and told == set()


def test_the_failed_check_of_the_cni_plug_in_is_another_failure(export):
    """istio/istio#14327, #21266: rules are missing; it only looks like a stall."""
    text = "Error connecting to 127.0.0.6:15002: dial tcp 127.0.0.1:0->127.0.0.6:15002: connect: connection refused"
    export.pod("web", ["istio-validation", "vault-agent-init"], hangs="istio-validation", lines=[(0.5, text)])
    outcome, reason, told = export.judged()
    assert outcome == "undetermined" and reason == "cni_not_ready" and told == set()


# Without a pod object


def test_without_a_spec_the_order_of_the_events_tells(export):
    export.pod("web", BEHIND, hangs="vault-agent-init", lines=HANGING, spec=False)
    assert export.judged() == ("init_stalled", None, {("init_race", "likely")})


def test_without_a_spec_a_refusal_before_istio_init_was_not_redirected(export):
    """Vault came up late; then istio-init ran, then the application."""
    init = ["vault-agent-init", "istio-init"]
    export.pod("web", init, lines=[(0.1, refused()), (0.8, SUCCESS)], logs_of="vault-agent-init", ran=4.0, spec=False)
    outcome, _, told = export.judged()
    assert outcome != "init_stalled" and {verdict for verdict, _ in told} <= {"upstream", "undetermined"}


def test_without_a_spec_an_init_that_got_through_was_not_stopped(export):
    export.pod("web", BEHIND, lines=[(0.1, refused()), (0.8, SUCCESS)], logs_of="vault-agent-init", ran=4.0, spec=False)
    assert "init_race" not in {verdict for verdict, _ in export.judged()[2]}


# The whole


def test_no_wrong_verdict_and_every_stalled_pod_found(tmp_path):
    """The simulator's Vault fleets against its truth."""
    mix = dict.fromkeys(["vault_behind", "vault_before", "vault_cni", "vault_excluded", "vault_native"], 1)
    ml.simulate_fleet(tmp_path, pods=60, seed=77, mix=mix)
    fleet = ml.analyse(tmp_path / "export")
    truth = json.loads((tmp_path / "truth/summary.json").read_text())
    stalled = int((fleet.starts["outcome"] == "init_stalled").sum())
    assert stalled == truth["outcomes"]["init_stalled"]
    found = fleet.errors["verdict"].value_counts().to_dict()
    assert found == truth["verdicts"]
