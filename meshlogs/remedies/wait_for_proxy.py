"""Let the application itself wait until its proxy says that it is ready.

Code to do so is in the folder `code`: Go, Python, Java, Node, and an entrypoint for any image with a shell. The
patch tells it where to ask, in the variable PROXY_READY_URL; without the variable it does not wait.
"""

from pathlib import Path

from meshlogs.remedies import effects, manifests
from meshlogs.remedies.advice import Advice, rollout_traps, why_raced
from meshlogs.remedies.workloads import Workload

REMEDY = "wait_for_proxy"
TREATS = ("startup_race",)
SOURCES = ("istio/istio#11130", "docs.cloud.google.com/service-mesh troubleshoot-proxy")
WHEN = "always, also for Jobs; the only way before Istio 1.7; needs a change of the image or of its command"
TRAPS = (
    ("port 15020 answers in all versions, 15021 only since 1.6, and then for Envoy itself", "istio/istio#32439"),
    ("port 15000 is up long before the proxy accepts connections: never ask there", "istio/istio#11130"),
    ("a pod without a proxy has nobody to answer: set the variable only where there is one", "linkerd/linkerd2#7659"),
    ("a Job must also end its proxy: POST localhost:15020/quitquitquit", "istio/istio#6324"),
    ("ready says that the proxy listens, not that every route is there: still retry", "istio/istio#32439"),
)
CHECK = "the application's first log line comes after the proxy's 'Envoy proxy is ready'"

VARIABLE = "PROXY_READY_URL"
POLL_S = 0.5
CODE = Path(__file__).with_name("code")


def advise(workload: Workload) -> Advice:
    """The address this workload must ask, what waiting would have saved, and a patch that tells it the address."""
    blocked = None
    if workload.native:
        blocked = "its proxy is a native sidecar, ready before the application starts: nothing to wait for"
    elif workload.annotations.get("status.sidecar.istio.io/port") == "0":
        blocked = "status.sidecar.istio.io/port is 0: nothing in the pod answers /healthz/ready"
    effect = effects.of_gate(workload, step_s=POLL_S, moves_proxy=False)
    files = {} if blocked else manifests.files(workload, REMEDY, env={VARIABLE: url(workload)})
    traps = (*rollout_traps(workload), f"nothing reads {VARIABLE} until the code of patches/code is in the image")
    if workload.version is None and not workload.proxy:
        traps += ("the proxy's version is not in the export: port 15020 answers in every version",)
    if workload.is_job:
        traps += ("at its end the Job must stop its proxy: POST localhost:15020/quitquitquit (istio/istio#6324)",)
    return Advice(why_raced(workload), blocked, effect, traps, files)


def url(workload: Workload) -> str:
    """Where the pod's proxy tells its readiness."""
    return f"http://localhost:{workload.ready_port}/healthz/ready"


def code() -> dict[str, str]:
    """File name to text of the code that waits, one for each language."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(CODE.iterdir()) if path.is_file()}
