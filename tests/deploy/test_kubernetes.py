"""The manifests: built by kubectl, checked against the schemas of Kubernetes, and true to what the hub does."""

import re
import subprocess
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import httpx
import jsonschema
import pytest
import yaml
from tests.deploy.configurations import checked, filled
from tests.deploy.programs import DEPLOY, ROOT, module_folder, output_of, script
from tests.system.processes import PEGBOARD, READY, START_LIMIT, HubProcess, environment, stop

KUBERNETES = DEPLOY / "kubernetes"
BUILDS = ("base", "overlays/small", "overlays/production")
VERSIONS = ("1.30", "1.37")
"""The oldest that knows what is written here, and the newest that the schemas are there of."""

CRDS = {
    "HTTPRoute": (
        "sigs.k8s.io/gateway-api@v1.4.0",
        "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml",
    ),
    "ServiceMonitor": (
        "github.com/prometheus-operator/prometheus-operator@v0.85.0",
        "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
    ),
}
"""Whose schemas those who make them publish: the Go module and the file."""

RESTRICTED = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}

PROBES = ("startupProbe", "livenessProbe", "readinessProbe")

Item = Mapping[str, Any]


def built(folder: str) -> list[Item]:
    """What `kubectl apply -k` would send."""
    return list(yaml.safe_load_all(output_of(script("kubectl"), "kustomize", KUBERNETES / folder)))


@pytest.fixture(scope="module", params=BUILDS)
def items(request: pytest.FixtureRequest) -> list[Item]:
    return built(request.param)


@pytest.fixture(scope="module")
def production() -> list[Item]:
    return built("overlays/production")


def of(items: list[Item], *kinds: str) -> list[Item]:
    return [item for item in items if item["kind"] in kinds]


def workloads(items: list[Item]) -> list[Item]:
    return of(items, "Deployment", "StatefulSet")


def pod_of(workload: Item) -> Any:
    return workload["spec"]["template"]["spec"]


def hub_of(workload: Item) -> Any:
    (container,) = pod_of(workload)["containers"]
    return container


def labels_of(workload: Item) -> Mapping[str, str]:
    """The labels of its pods, with the one that a StatefulSet gives its first."""
    name = workload["metadata"]["name"]
    replicas = range(workload["spec"].get("replicas", 1))
    pods = {"statefulset.kubernetes.io/pod-name": " ".join(f"{name}-{number}" for number in replicas)}
    return {**workload["spec"]["template"]["metadata"]["labels"], **(pods if workload["kind"] == "StatefulSet" else {})}


def selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return all(value in labels.get(name, "").split() for name, value in selector.items())


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_takes_every_manifest(items: list[Item], version: str) -> None:
    import kubernetes_validate  # pyright: ignore[reportMissingTypeStubs] # has none; here, for `make test` collects it

    known = [item for item in items if item["kind"] not in CRDS]

    assert len(known) > 5
    for item in known:
        kubernetes_validate.validate(dict(item), version, strict=True)


@pytest.mark.parametrize("kind", CRDS)
def test_what_others_define_is_as_they_define_it(kind: str, production: list[Item]) -> None:
    module, file = CRDS[kind]
    definition = yaml.safe_load((module_folder(module) / file).read_text())
    schemas = {each["name"]: each["schema"]["openAPIV3Schema"] for each in definition["spec"]["versions"]}

    (item,) = of(production, kind)
    group, _, version = item["apiVersion"].partition("/")
    assert group == definition["spec"]["group"]
    jsonschema.validate({**item, "metadata": {}}, _strict(schemas[version]))


def _strict(schema: Any) -> Any:
    """The same with nothing allowed that is not named: the server would leave it out without a word."""
    if isinstance(schema, list):
        return [_strict(each) for each in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    closed: dict[str, Any] = {name: _strict(value) for name, value in cast("dict[str, Any]", schema).items()}
    if "properties" in closed and closed.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed


def test_no_secret_is_written_down(items: list[Item]) -> None:
    assert of(items, "Secret") == []
    assert not re.search(r"peg_|password:|://[^/\s]*:[^/\s]*@", yaml.safe_dump(list(items)))


def test_every_pod_keeps_to_the_restricted_profile(items: list[Item]) -> None:
    assert workloads(items)
    for workload in workloads(items):
        pod, hub = pod_of(workload), hub_of(workload)
        assert RESTRICTED.items() <= hub["securityContext"].items()
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert hub["resources"]["limits"]["memory"]
    (namespace,) = of(items, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_a_pod_has_time_to_finish_what_it_does(items: list[Item]) -> None:
    """F-26: the sleep, the grace of the hub and some more are within what Kubernetes waits."""
    grace = int(re.findall(r"^grace = (\d+)$", toml_of(items), re.MULTILINE)[0])
    for workload in workloads(items):
        _, slept = hub_of(workload)["lifecycle"]["preStop"]["exec"]["command"]
        assert int(slept) + grace + 5 <= pod_of(workload)["terminationGracePeriodSeconds"]


def test_every_service_and_budget_finds_pods(items: list[Item]) -> None:
    selectors = [item["spec"]["selector"] for item in of(items, "Service")]
    selectors += [item["spec"]["selector"]["matchLabels"] for item in of(items, "PodDisruptionBudget")]
    selectors += [item["spec"]["podSelector"]["matchLabels"] for item in of(items, "NetworkPolicy")]

    for selector in selectors:
        assert [workload for workload in workloads(items) if selects(selector, labels_of(workload))], selector
    for service in of(items, "Service"):
        assert [port["targetPort"] for port in service["spec"]["ports"]] == ["http"]


def test_what_is_referred_to_is_there(items: list[Item]) -> None:
    names = {(item["kind"], item["metadata"]["name"]) for item in items}
    for workload in workloads(items):
        (config,) = [volume["configMap"]["name"] for volume in pod_of(workload)["volumes"] if "configMap" in volume]
        assert ("ConfigMap", config) in names
        assert ("ServiceAccount", pod_of(workload)["serviceAccountName"]) in names
        if workload["kind"] == "StatefulSet":
            assert ("Service", workload["spec"]["serviceName"]) in names
    for scaler in of(items, "HorizontalPodAutoscaler"):
        assert (scaler["spec"]["scaleTargetRef"]["kind"], scaler["spec"]["scaleTargetRef"]["name"]) in names
    for rule in _rules(items):
        assert ("Service", rule["backendRefs"][0]["name"]) in names


def _ports(rules: list[Any]) -> set[int | str]:
    return {port["port"] for rule in rules for port in rule["ports"]}


def test_the_network_lets_through_what_is_needed_and_no_more(items: list[Item]) -> None:
    """Names, the backends of the configuration and its Redis; in comes only what asks the hub's own port."""
    (policy,) = of(items, "NetworkPolicy")
    needed = {int(port) for port in re.findall(r'"(?:http|bolt)://[^:"]+:(\d+)"', toml_of(items))}
    needed |= {port for word, port in (("dsn =", 5432), ("redis =", 6379)) if word in toml_of(items)}

    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert needed | {53} <= _ports(policy["spec"]["egress"])
    assert _ports(policy["spec"]["ingress"]) == {port["name"] for port in hub_of(workloads(items)[0])["ports"]}
    for rule in (*policy["spec"]["ingress"], *policy["spec"]["egress"]):
        peers: list[Item] = rule.get("from", rule.get("to"))
        assert all(peer.get("namespaceSelector") or peer.get("podSelector") for peer in peers)


def test_what_is_asked_of_a_pod_is_at_its_port(items: list[Item]) -> None:
    """The probes, and those who watch: the port's name is known, and it is where the hub listens."""
    for workload in workloads(items):
        (port,) = hub_of(workload)["ports"]
        assert re.search(rf"^port = {port['containerPort']}$", toml_of(items), re.MULTILINE)
        asked = [hub_of(workload)[probe]["httpGet"]["port"] for probe in PROBES]
        asked += [endpoint["port"] for item in of(items, "ServiceMonitor") for endpoint in item["spec"]["endpoints"]]
        assert set(asked) == {port["name"]}


def test_one_pod_at_least_stays_when_nodes_are_drained(production: list[Item]) -> None:
    for budget in of(production, "PodDisruptionBudget"):
        (workload,) = [each for each in workloads(production) if each["metadata"]["name"] == budget["metadata"]["name"]]
        scaled = [
            scaler["spec"]["minReplicas"]
            for scaler in of(production, "HorizontalPodAutoscaler")
            if scaler["spec"]["scaleTargetRef"]["name"] == budget["metadata"]["name"]
        ]
        (replicas,) = scaled or [workload["spec"]["replicas"]]
        assert replicas - budget["spec"]["maxUnavailable"] >= 1
        # A number here would take back what the autoscaler has done, at each `kubectl apply`.
        assert not scaled or "replicas" not in workload["spec"]


def test_the_secrets_that_are_read_are_those_that_the_page_makes(production: list[Item]) -> None:
    page = (ROOT / "docs" / "deploy.md").read_text()
    made = set(re.findall(r"--from-file=([\w.-]+)(?= |$)", page, re.MULTILINE))
    (monitor,) = of(production, "ServiceMonitor")
    credentials = monitor["spec"]["endpoints"][0]["authorization"]["credentials"]

    assert set(re.findall(r"/run/secrets/pegboard/([\w.-]+)", toml_of(production))) == made
    assert f"create secret generic {credentials['name']} --from-file={credentials['key']}=" in page


def _rules(items: list[Item]) -> list[Any]:
    return [rule for route in of(items, "HTTPRoute") for rule in route["spec"]["rules"]]


def _backend(rules: list[Any], path: str) -> str | None:
    """The service that a path leads to: the first rule that matches, which is what the regular expressions are for."""
    for rule in rules:
        for match in rule["matches"]:
            kind, value = match["path"]["type"], match["path"]["value"]
            if (
                (kind == "RegularExpression" and re.fullmatch(value, path))
                or (kind == "PathPrefix" and f"{path}/".startswith(f"{value}/"))
                or (kind == "Exact" and path == value)
            ):
                return str(rule["backendRefs"][0]["name"])
    return None


@pytest.mark.parametrize(
    ("path", "backend"),
    [
        ("/", "pegboard-mcp"),
        ("/mcp", "pegboard-mcp"),
        ("/postgres/mcp", "pegboard-mcp"),
        ("/.well-known/oauth-protected-resource/mcp", "pegboard-mcp"),
        ("/sse", "pegboard-sse"),
        ("/postgres/query/sse", "pegboard-sse"),
        ("/messages/pegboard-sse-0/", "pegboard-sse-0"),
        ("/postgres/query/messages/pegboard-sse-2/", "pegboard-sse-2"),
        ("/metrics", None),
        ("/health", None),
        ("/messages/pegboard-sse-9/", None),
    ],
)
def test_the_route_leads_there(path: str, backend: str | None, production: list[Item]) -> None:
    assert _backend(_rules(production), path) == backend


def toml_of(items: list[Item]) -> str:
    (config,) = of(items, "ConfigMap")
    return str(config["data"]["pegboard.toml"])


def variables(workload: Item, items: list[Item], pod: Mapping[str, str]) -> dict[str, str]:
    """The environment of its container, as the kubelet makes it."""
    (config,) = of(items, "ConfigMap")
    known: dict[str, str] = {}
    for variable in hub_of(workload)["env"]:
        origin = variable.get("valueFrom", {})
        if "fieldRef" in origin:
            value = pod[origin["fieldRef"]["fieldPath"]]
        elif "configMapKeyRef" in origin:
            value = config["data"][origin["configMapKeyRef"]["key"]]
        else:
            value = re.sub(r"\$\((\w+)\)", lambda match: known[match[1]], variable["value"])
        known[variable["name"]] = value
    return known


def test_the_configuration_is_right(items: list[Item], tmp_path: Path) -> None:
    assert checked(filled(toml_of(items), tmp_path)) == []


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_the_hub_runs_as_its_pod_does_and_the_kubelet_finds_it(
    kind: str, production: list[Item], tmp_path: Path
) -> None:
    """The kubelet and Prometheus ask for the pod's address, which is no name that the hub would serve by itself."""
    (workload,) = of(production, kind)
    pod = {"status.podIP": "127.0.0.2", "metadata.name": f"{workload['metadata']['name']}-0"}
    given = variables(workload, production, pod)
    with running(workload, given, filled(toml_of(production), tmp_path)) as port:
        for probe in PROBES:
            path = hub_of(workload)[probe]["httpGet"]["path"]
            assert httpx.get(f"http://127.0.0.2:{port}{path}").status_code == 200, path
        assert httpx.get(f"http://127.0.0.2:{port}/health", headers={"Host": "evil.example.com"}).status_code == 421
    assert given.get("PEGBOARD_SERVER_REPLICA") == (pod["metadata.name"] if kind == "StatefulSet" else None)


@contextmanager
def running(workload: Item, environ: Mapping[str, str], file: Path) -> Generator[int]:
    """The container's hub, with its configuration in place of the mounted one; gives the port."""
    own = {"PEGBOARD_CONFIG": str(file), "PEGBOARD_SERVER_PORT": "0"}
    process = subprocess.Popen(
        [PEGBOARD, *hub_of(workload)["args"]],
        env=environment([], {**environ, **own}),
        cwd=file.parent,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield int(HubProcess(process).log.wait_for(READY, START_LIMIT)[1].rpartition(":")[2])
    finally:
        stop(process)


def test_the_monitor_takes_each_pod_once(production: list[Item]) -> None:
    (monitor,) = of(production, "ServiceMonitor")
    (wanted,) = monitor["spec"]["selector"]["matchExpressions"]

    found = [
        service["metadata"]["name"]
        for service in of(production, "Service")
        if service["metadata"]["labels"][wanted["key"]] in wanted["values"]
    ]
    assert sorted(found) == ["pegboard-mcp", "pegboard-sse-pods"]
