"""Which pods a made-up fleet has: the stories, the workloads they happen to, and a pod of each."""

from dataclasses import replace

import numpy as np

from meshlogs.simulate.clients import CLIENTS, Target
from meshlogs.simulate.process import METADATA, Container, Pod, Redirection, Story, Workload, between, live, ns

REDIS = (Target("redis", "10.96.10.1", 6379), Target("redis-sessions", "10.96.11.1", 6379))
WEB = tuple(Target(name, f"10.96.10.{20 + at}", 8080) for at, name in enumerate(("web", "users", "prices", "stock")))
POSTGRES = (Target("postgres", "10.96.10.3", 5432), Target("postgres-ro", "10.96.11.3", 5432))
KAFKA = tuple(Target(f"kafka-{at}.kafka", f"10.96.10.{60 + at}", 9092) for at in range(3))
MONGO = (Target("mongo", "10.96.10.7", 27017),)
VERSIONS = ("1.3.3", "1.6.14", "1.13.2", "1.18.5", "1.20.3", "1.24.1")
LATE = (50.0, 60.0)  # long after any usual proxy is ready

# What may happen to a pod, and how often; most take no harm.
STORIES = {
    "patient": Story(26, first_connect=LATE),
    "silent": Story(8, patient=True),
    "race": Story(14),
    "proxy_first": Story(4, proxy_first=True, app_pull="slow"),
    "proxy_first_race": Story(2, proxy_first=True),
    "exposed_late": Story(4, first_connect=LATE),
    "held": Story(8, hold=True, oldest=2),
    "native": Story(7, native=True, oldest=4),
    "slow_proxy": Story(3, proxy_start=(8, 40)),
    "late_report": Story(2, patient=True, proxy_start=(33, 70)),
    "slow_proxy_pull": Story(2, proxy_pull="slow"),
    "proxy_pull_failing": Story(1, proxy_pull="failing"),
    "hold_failed": Story(2, hold=True, proxy_start=(75, 90), oldest=2),
    "crash_loop": Story(2, exits=True),
    "unmeshed": Story(4, meshed=False),
    "vault_behind": Story(3, vault="behind"),
    "vault_before": Story(2, vault="before"),
    "vault_cni": Story(1, vault="behind", cni=True, oldest=1),
    "vault_excluded": Story(1, vault="behind", bypass="vault"),
    "vault_native": Story(1, vault="behind", native=True, oldest=4),
    "outage": Story(3, deaths=1),
    "outages": Story(1, deaths=2),
    "shutdown": Story(3, stop="lingers"),
    "stopped": Story(3, stop="quick", first_connect=LATE),
    "app_restart": Story(3, app_restart=True, first_connect=LATE),
    "upstream": Story(2, bypass="port", bypass_down="late"),
    "upstream_early": Story(1, bypass="range", bypass_down="early"),
    "upstream_not_included": Story(1, bypass="not_included", bypass_down="early"),
    "upstream_metadata": Story(1, metadata_down=True),
    "upstream_reported": Story(2, reported=True),
    "upstream_broken": Story(2, broken=True, first_connect=LATE),
    "local": Story(3, local_down=True),
    "pull_failed": Story(2, app_pull="never"),
}
MIX = {name: story.weight for name, story in STORIES.items()}
# Who is who: a service for each client, and what it talks to; pods built otherwise belong to a variant of it.
SERVICES = {
    "go": ("checkout", (*REDIS, *POSTGRES)),
    "go_http": ("gateway", WEB),
    "go_json": ("cart", REDIS),
    "python_redis": ("recommender", REDIS),
    "python_requests": ("reviews", WEB),
    "python_json": ("ranking", REDIS),
    "pymongo": ("archive", MONGO),
    "node": ("storefront", (*REDIS, *WEB[:2])),
    "ioredis": ("session", REDIS),
    "node_json": ("web-api", WEB),
    "java_netty": ("inventory", REDIS),
    "java_http": ("billing", WEB),
    "hikari": ("orders", POSTGRES),
    "java_kafka": ("ledger", KAFKA),
    "ruby": ("mailer", WEB),
    "ruby_json": ("worker", REDIS),
    "php": ("catalog", REDIS),
    "dotnet": ("shipping", WEB),
    "rust": ("search", WEB),
    "rdkafka": ("tracker", KAFKA),
    "psql": ("importer", POSTGRES),
    "psql_old": ("exporter", POSTGRES),
    "curl": ("prober", WEB),
}
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


def make_fleet(count: int, mix: dict[str, float], start: int, rng: np.random.Generator, held: float = 0.0) -> list[Pod]:
    """`count` pods and those that came after one of the same name, lived to their end; begun from `start` [ns] on.

    `held` is the share of them whose application is held, whatever their story.
    """
    names = [name for name in mix if mix[name] > 0]
    weights = np.array([mix[name] for name in names], float)
    drawn = rng.choice(names, size=count, p=weights / weights.sum())
    # Every story has its turn before chance decides.
    told = [names[at] if at < len(names) else str(drawn[at]) for at in range(count)]
    spread = 3000 + 15 * count
    fleet: list[Pod] = []
    taken: set[str] = set()
    for number, own in enumerate(rng.spawn(count)):
        created = start + between(own, 0, spread)
        # Spread evenly over the numbers, and so over the workloads.
        holds = number * 0.618034 % 1 < held
        fleet.append(_born(told[number], number, created, own, taken, holds=holds))
        taken.add(fleet[-1].name)
        if fleet[-1].workload.controller == "StatefulSet":
            fleet.append(_born(told[number], number, fleet[-1].stopped + ns(32), own, taken, fleet[-1]))
    return fleet


def _born(
    scenario: str,
    number: int,
    created: int,
    rng: np.random.Generator,
    taken: set[str],
    before: Pod | None = None,
    *,
    holds: bool = False,
) -> Pod:
    """A pod of a story, lived; with `before`, the one of the same name that replaces it; `holds`: it is held."""
    story = STORIES[scenario]
    clients = [name for name, client in CLIENTS.items() if bool(client.patience_s) == story.patient]
    stateful = story.stop == "quick" and number % 2 == 1
    version = str(rng.choice(VERSIONS[max(story.oldest, 2 * holds) :]))
    client = clients[number % len(clients)]
    work = before.workload if before else _workload(story, client, version, stateful, rng)
    if before:
        story = STORIES["race"]
    if holds and story.meshed and not story.native:
        story = replace(story, hold=True)
    pod = Pod(
        workload=work,
        scenario=scenario,
        story=story,
        name=before.name if before else _name(work, taken, rng),
        uid="-".join(f"{int(rng.integers(16**width)):0{width}x}" for width in (8, 4, 4, 4, 12)),
        node=f"gke-{work.cluster}-pool-{int(rng.integers(3))}",
        ip=f"10.{int(rng.integers(4, 9))}.{int(rng.integers(256))}.{int(rng.integers(2, 250))}",
        created=created,
        scheduled=created + between(rng, 0.02, 0.6),
        redirection=_redirection(story),
    )
    pod.containers = _containers(pod)
    live(pod, rng)
    return pod


def _name(work: Workload, taken: set[str], rng: np.random.Generator) -> str:
    """The name of a new pod: no two of a name live at a time, so a StatefulSet's gets the next free ordinal."""
    if work.controller == "StatefulSet":
        return next(name for at in range(len(taken) + 1) if (name := f"{work.name}-{at}") not in taken)
    name = f"{work.name}-{_hash(work.name)}-{''.join(rng.choice(list(_LETTERS), 5))}"
    return name if name not in taken else _name(work, taken, rng)


def _redirection(story: Story) -> Redirection:
    metadata = (f"{METADATA.ip}/32",)
    return {
        "port": Redirection(excluded_ports=(5433,)),
        "range": Redirection(excluded=(*metadata, "10.60.0.0/16")),
        "not_included": Redirection(included=("10.96.0.0/12",)),
        "vault": Redirection(excluded=(*metadata, "10.96.10.4/32")),
    }.get(story.bypass, Redirection())


def _hash(name: str) -> str:
    """A pod-template-hash that stays with the workload's name."""
    return "".join(np.random.default_rng(list(name.encode())).choice(list("456789bcdf"), 9))


def _workload(story: Story, client: str, version: str, stateful: bool, rng: np.random.Generator) -> Workload:
    # Pods of one workload are built alike.
    variant = "-vault" if story.vault else "-held" if story.hold else ""
    variant += {"port": "-db", "range": "-ranged", "not_included": "-scoped", "vault": "-past"}.get(story.bypass, "")
    variant += "-first" if story.proxy_first else ""
    variant += "-native" if story.native else "" if story.meshed else "-plain"
    variant += "-set" if stateful else ""
    namespace, cluster = str(rng.choice(["shop", "pay"])), str(rng.choice(["blue", "green"]))
    controller = "StatefulSet" if stateful else "Deployment"
    name, targets = SERVICES[client]
    return Workload(namespace, name + variant, controller, cluster, client, version, targets)


def _containers(pod: Pod) -> list[Container]:
    image, story = f"docker.io/istio/proxyv2:{pod.workload.version}", pod.story
    proxy = Container("istio-proxy", "init" if story.native else "regular", image)
    app = Container("app", "regular", "registry.example/app:1")
    vault = [Container("vault-agent-init", "init", "hashicorp/vault:1.15")] if story.vault else []
    if not story.meshed:
        return [*vault, app]
    setter = [Container("istio-validation" if story.cni else "istio-init", "init", image)]
    if story.native:
        return [*setter, proxy, *vault, app]
    init = [*vault, *setter] if story.vault == "before" else [*setter, *vault]
    return [*init, proxy, app] if story.hold or story.proxy_first else [*init, app, proxy]
