"""Every command of the runbooks does what the runbook says, typed just as it is printed.

The chart is installed by helm, the provider runs with the arguments of the installed Deployment and the rights of
its ServiceAccount, and a shell types the document, fence by fence. There is no kubelet: a Pod object stands for the
Deployment's pod, and what only a kubelet can do is checked by its parts (see `runbook`).
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from controlplane import ControlPlane, Tool, ensure

from provider_discord.discord.metrics import CallStatus
from provider_discord.simulator import LimitsConfig, Mode, SimulatorConfig, SimulatorServer
from tests.conftest import require_tools
from tests.e2e.conftest import TIME_SCALE, Provider, condition_of, eventually, is_true
from tests.operations.prometheus import Prometheus
from tests.operations.runbook import Command, Fence, How, every, fences, inline, older, table
from tests.operations.typed_today import TYPED_TODAY

ROOT: Final = Path(__file__).parents[2]
RUNBOOKS: Final = ROOT / "docs" / "operations" / "runbooks.md"
CHART: Final = ROOT / "chart" / "provider-discord"
IMAGE: Final = ROOT / "package" / "image" / "Dockerfile"
ACCOUNT: Final = "system:serviceaccount:crossplane-system:provider-discord"
TOKEN: Final = "first-token-of-the-bot"
KINDS: Final = ("guild", "role", "channel")
PROVIDER_OBJECTIVE_SECONDS: Final = 15 * 60
OBJECTS_OBJECTIVE_SECONDS: Final = 30 * 60
"""The runbooks' objectives. Waits here are scaled, so times are counted as if all of them were waits."""

Obj = dict[str, Any]
FENCES: Final = tuple(fences(RUNBOOKS))
INLINE: Final = tuple(inline(RUNBOOKS))
RECOVERY: Final = (
    "Back up",
    "Restore a lost cluster",
    "Restore a guild that was emptied",
    "Remove the provider",
)
ROTATION: Final = "ProviderDiscordTokenInvalid"
HELD: Final = "ProviderDiscordGuildHeld"


def test_no_command_is_unaccounted_for() -> None:
    appendix = RUNBOOKS.read_text(encoding="utf-8").partition(
        "## Appendix: what was done with each command\n\n"
    )[2]
    assert appendix == table(every(RUNBOOKS)), (
        "the appendix is stale; write it anew with `python -m tests.operations.runbook`"
    )


def test_every_way_of_testing_is_used() -> None:
    """Or the document has no such command any more, or what finds it is broken."""
    assert {command.how for command in every(RUNBOOKS)} == set(How)


def test_a_secret_is_read_alone_and_what_blocks_stands_alone() -> None:
    """Of lines that are pasted together the second would become the token, or never be reached."""
    for fence in FENCES:
        *others, last = [command.text for command in fence.commands]
        assert not any(re.search(r"port-forward|--follow", text) for text in others), (
            f"{last} is never reached"
        )
        assert not any("read -rs" in text for text in (*others, last if others else "")), last


def test_no_upgrade_goes_by_the_old_values_alone() -> None:
    upgrades = [command.text for command in every(RUNBOOKS) if command.text.startswith("helm upgrade")]
    typed = [text for text in upgrades if "..." not in text]
    assert typed
    assert all("--reset-then-reuse-values" in text for text in typed)


def test_the_table_of_errors_has_every_way_in_which_a_call_ends() -> None:
    section = RUNBOOKS.read_text(encoding="utf-8").partition("\n## ProviderDiscordHighErrorRate\n")[2]
    rows = re.findall(r"^\| (`.*?) \|", section.partition("\n## ")[0], re.MULTILINE)
    named = [status for row in rows for status in re.findall(r"`(\w+)`", row) if status != "status"]
    assert sorted(named) == sorted(set(CallStatus) - {CallStatus.SUCCESS})


def test_measured_memory_is_what_was_measured() -> None:
    section = RUNBOOKS.read_text(encoding="utf-8").partition("\nMeasured: ")[2].partition("\n\n")[0]
    told = set(re.findall(r"(\d+) MiB", section))
    assert len(told) == 3
    results = (ROOT / "bench" / "RESULTS.md").read_text(encoding="utf-8")
    assert told <= set(re.findall(r"(\d+) MiB", results))
    values = (
        (CHART / "values.yaml")
        .read_text(encoding="utf-8")
        .partition("# Measured: ")[2]
        .partition("\n  limits")[0]
    )
    assert set(re.findall(r"(\d+) MiB", values)) == told


def test_every_alert_has_a_section() -> None:
    rules = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text(encoding="utf-8"))
    alerts = [rule for group in rules["groups"] for rule in group["rules"] if "alert" in rule]
    headings = set(re.findall(r"^## (.+)$", RUNBOOKS.read_text(encoding="utf-8"), re.MULTILINE))
    assert alerts
    assert {rule["alert"] for rule in alerts} <= headings
    for rule in alerts:
        url = rule["annotations"]["runbook_url"]
        assert url.endswith(f"docs/operations/runbooks.md#{rule['alert'].lower()}"), url


def test_links_lead_somewhere() -> None:
    """Within the document, to files, and to headings of other documents."""
    text = RUNBOOKS.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("http"):
            continue
        name, _, anchor = target.partition("#")
        document = (RUNBOOKS.parent / name).resolve() if name else RUNBOOKS
        assert document.is_file(), target
        if anchor:
            titles = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
            assert anchor in anchors, target


class Site:
    """A cluster with the chart in it, as an operator sees it from their shell."""

    def __init__(self, *, control_plane: ControlPlane, simulator: SimulatorServer, folder: Path) -> None:
        self.control_plane = control_plane
        self.simulator = simulator
        self.folder = folder
        self.provider: Provider | None = None
        folder.mkdir(exist_ok=True)
        (folder / "chart").symlink_to(CHART.parent)
        programs = folder / "bin"
        programs.mkdir()
        for name, path in ensure([Tool.KUBECTL, Tool.HELM]).items():
            (programs / name.value).symlink_to(path)
        script = programs / "provider-discord"
        script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m provider_discord "$@"\n')
        script.chmod(0o755)

    def type(self, script: str, *, typed: str = "") -> str:
        """Type lines into a shell; fail if one of them fails. `typed` is what is typed when something is read."""
        port = self.provider.port if self.provider else 0
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script.replace("localhost:8080", f"localhost:{port}")],
            input=typed,
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
            cwd=self.folder,
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith("HELM_")},
                "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
                "HOME": str(self.folder),
                "KUBECONFIG": str(self.control_plane.kubeconfig),
                "KUBERC": "off",
            },
        )
        assert ran.returncode == 0, (
            f"{script}\n--- said\n{ran.stdout[-2000:]}\n{ran.stderr[-3000:]}\n{self.log}"
        )
        return ran.stdout + ran.stderr

    @property
    def log(self) -> str:
        return self.provider.log[-3000:] if self.provider else ""

    def run_provider(self) -> None:
        """Start the provider as the installed Deployment would."""
        deployment = json.loads(
            self.type("kubectl get deployment -n crossplane-system provider-discord -o json")
        )
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        assert container["name"] == "provider"
        arguments = list(container["args"])
        assert arguments.pop(0) == "run"
        # What a pod has by itself, and what it must not share with its neighbours here.
        arguments += ["--leader-election-namespace", "crossplane-system", "--pod-name", "provider-discord-0"]
        account = self.control_plane.kubeconfig_for(
            ACCOUNT,
            groups=[
                "system:serviceaccounts",
                "system:serviceaccounts:crossplane-system",
                "system:authenticated",
            ],
        )
        self.provider = Provider(kubeconfig=account, folder=self.folder, arguments=arguments)
        self.provider.start()

    def make_pod(self) -> None:
        """Make the pod that a ReplicaSet would make."""
        deployment = json.loads(
            self.type("kubectl get deployment -n crossplane-system provider-discord -o json")
        )
        template = deployment["spec"]["template"]
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                **template["metadata"],
                "name": POD,
                "namespace": "crossplane-system",
            },
            # Nobody runs the controllers that would make accounts' tokens available.
            "spec": {**template["spec"], "automountServiceAccountToken": False},
        }
        self.control_plane.kubectl("apply", "-f", "-", input=json.dumps(pod))

    def objects(self) -> list[Obj]:
        items: list[Obj] = []
        for kind in KINDS:
            path = f"/apis/{kind}.discord.crossplane.io/v1alpha1/{kind}s"
            items += self.control_plane.request("GET", path)["items"]
        return items

    def until_true(self, count: int, seconds: float = 14) -> None:
        eventually(
            lambda: sum(is_true(obj) for obj in self.objects()) == count,
            f"{count} objects to be true",
            seconds=seconds,
            explain=lambda: json.dumps([obj.get("status") for obj in self.objects()])[-3000:] + self.log,
        )

    def close(self) -> None:
        if self.provider:
            self.provider.end()


COMMUNITY: Final = """
apiVersion: discord.crossplane.io/v1alpha1
kind: ProviderConfig
metadata: {name: default}
spec:
  baseURL: BASE_URL
  credentials:
    source: Secret
    secretRef: {namespace: crossplane-system, name: discord-credentials, key: token}
---
apiVersion: v1
kind: Namespace
metadata: {name: discord}
---
apiVersion: guild.discord.crossplane.io/v1alpha1
kind: Guild
metadata: {name: my-guild, namespace: discord}
spec: {forProvider: {name: My Guild, verificationLevel: medium}}
---
apiVersion: channel.discord.crossplane.io/v1alpha1
kind: Channel
metadata: {name: general, namespace: discord}
spec: {forProvider: {guildIdRef: {name: my-guild}, name: general, type: text, topic: Say hello.}}
---
apiVersion: role.discord.crossplane.io/v1alpha1
kind: Role
metadata: {name: organiser, namespace: discord}
spec: {forProvider: {guildIdRef: {name: my-guild}, name: Organiser, hoist: true}}
"""
ROOM: Final = """
---
apiVersion: channel.discord.crossplane.io/v1alpha1
kind: Channel
metadata: {name: NAME, namespace: discord}
spec: {forProvider: {guildIdRef: {name: my-guild}, name: NAME, type: text}}
"""
ROOMS: Final = tuple(f"room-{number}" for number in range(6))
"""So many that a guild which loses them is held."""
OBJECTS: Final = 3 + len(ROOMS)
VALUES: Final[Obj] = {
    "image": {"repository": "registry.example.com/our/provider-discord", "tag": "v1.2.3"},
    "rbac": {"readNamespaces": ["discord"]},
    "networkPolicy": {"apiServerPorts": [16443]},
    "dashboards": {"enabled": True},
}
"""What the chart was installed with, none of it the default."""


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorServer]:
    config = SimulatorConfig(token=TOKEN, guild_name="My Guild", limits=LimitsConfig(mode=Mode.OFF))
    with SimulatorServer(config) as server:
        yield server


@pytest.fixture(scope="module")
def new_site(
    simulator: SimulatorServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], Site]]:
    """Makes clusters, empty ones."""
    require_tools([*Tool.__members__.values()])
    with ExitStack() as stack:

        def make() -> Site:
            control_plane = stack.enter_context(ControlPlane(controller_manager=True))
            site = Site(
                control_plane=control_plane, simulator=simulator, folder=tmp_path_factory.mktemp("shell")
            )
            stack.callback(site.close)
            return site

        yield make


@pytest.fixture(scope="module")
def site(new_site: Callable[[], Site], simulator: SimulatorServer) -> Site:
    """The cluster that the runbooks are typed in: a community that is as its manifests say."""
    made = new_site()
    (made.folder / "first-values.yaml").write_text(json.dumps(VALUES))
    made.type(
        "kubectl create namespace discord\n"
        "helm install provider-discord ./chart/provider-discord -n crossplane-system --create-namespace"
        " -f first-values.yaml\n"
        "kubectl create secret generic discord-credentials -n crossplane-system --from-file=token=/dev/stdin",
        typed=TOKEN,
    )
    rooms = "".join(ROOM.replace("NAME", name) for name in ROOMS)
    made.type("kubectl apply -f -", typed=COMMUNITY.replace("BASE_URL", simulator.base_url) + rooms)
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": PLACES["node"]}}
    made.type("kubectl apply -f -", typed=json.dumps(node))
    made.run_provider()
    made.make_pod()
    made.until_true(OBJECTS)
    # There was an upgrade once, to go back from.
    made.type(
        "helm upgrade provider-discord ./chart/provider-discord -n crossplane-system --reset-then-reuse-values"
    )
    return made


def executed(fence: Fence) -> str:
    """Return a fence as a script, without what is checked by parts. `can-i` says "no" with an exit code of 1."""
    lines = [command.text for command in fence.commands if command.how is How.EXECUTED]
    return "\n".join(f"{line} || [ $? = 1 ]" if " can-i " in line else line for line in lines)


def scripts(section: str | None = None) -> Iterator[tuple[str, str]]:
    """Yield what is typed at a time, with its section: what was read is known to the fence that comes next."""
    read = ""
    for fence in FENCES:
        script = executed(fence)
        if not script or section not in {None, fence.section}:
            continue
        if script.startswith("read "):
            read = f"{script}\n"
            continue
        yield fence.section, read + script
        read = ""


def in_text(command: Command) -> str:
    """Return an executed command of the text as a script; a path is one of the health server's."""
    return f"curl -s http://localhost:8080{command.text}" if command.text[0] == "/" else command.text


def test_every_executed_command_works(site: Site) -> None:
    """All sections in their order, but recovery and what needs a held guild; then everything is as true as before."""
    simulator = site.simulator
    typed_in_text = [
        (command.section, in_text(command))
        for command in INLINE
        if command.how is How.EXECUTED and not command.text.startswith(("helm install", "kubectl apply"))
    ]
    for section, script in [*scripts(), *typed_in_text]:
        if section in RECOVERY or "release-hold" in script:
            continue
        typed = ""
        if "read -rs" in script:
            typed = f"token-after-{section}\n"
            simulator.control.replace_token(site_token(site), typed.strip())
        said = site.type(script, typed=typed)
        assert "Error" not in said, f"{script}\n{said}"
        if "reportingComponent" in script and "type=Warning" not in script:
            assert "CreatedExternalResource" in said, f"the events are not found:\n{said}"
    site.until_true(OBJECTS)
    log = site.provider.log if site.provider else ""
    assert "token-after" not in log
    assert "Traceback" not in log


def test_commands_in_the_text_are_those_of_a_fence_where_they_cannot_be_typed_twice() -> None:
    in_fences = {command.text for fence in FENCES for command in fence.commands}
    typed = [command.text for command in INLINE if command.how is How.EXECUTED]
    assert {text for text in typed if text.startswith(("helm install", "kubectl apply"))} <= in_fences


def test_a_wrong_token_is_known_before_anybody_looks_at_ready(site: Site) -> None:
    """Straight after the rotation Ready=True tells of the token before; what the runbook waits for comes later."""
    put, look = [script for _, script in scripts(ROTATION) if "NEW_BOT_TOKEN" in script or "ASKED" in script]
    *wait_for_the_look, ready = look.splitlines()
    assert "condition=Ready" in ready
    right = site_token(site)
    ask = (
        "kubectl get providerconfigs.discord.crossplane.io default -o jsonpath={.status.conditions[0].status}"
    )
    assert site.type(ask) == "True"
    site.type(put, typed="a-token-of-nobody\n")
    site.type("\n".join(wait_for_the_look))
    assert site.type(ask) == "False"
    site.type(put, typed=f"{right}\n")
    site.type(look)
    assert site.type(ask) == "True"
    site.until_true(OBJECTS)


def site_token(site: Site) -> str:
    """Return the token that is in the Secret now."""
    encoded = (
        "kubectl get secret -n crossplane-system discord-credentials -o jsonpath={.data.token} | base64 -d"
    )
    return site.type(encoded)


@pytest.mark.parametrize(
    "command",
    [command for fence in FENCES for command in fence.commands if command.how is How.BY_PARTS],
    ids=lambda command: command.text[:60],
)
def test_the_parts_of_what_needs_a_kubelet(site: Site, command: Command) -> None:
    assert_parts(site, command.text)


def assert_parts(site: Site, text: str) -> None:
    """Look up what a command for the kubelet names: pods, their container and port, and the program run in it."""
    words = shlex.split(text.partition(" -- ")[0].partition(" | ")[0])
    namespace = words[words.index("-n") + 1]
    named = [word for word in words if word.startswith("deployment/")]
    if named:
        spec = deployment_of(site, namespace, named[0].partition("/")[2])["spec"]["template"]["spec"]
        assert [one["name"] for one in spec["containers"]] == ["provider"]
        if "port-forward" in words:
            ports = {port["containerPort"] for port in spec["containers"][0]["ports"]}
            assert int(words[-1].partition(":")[2]) in ports
    elif "-l" in words:
        template = deployment_of(site, namespace)["spec"]["template"]["metadata"]["labels"]
        name, _, value = words[words.index("-l") + 1].partition("=")
        assert template[name] == value
    elif POD in words:
        assert "provider" in site.type(f"kubectl get pod -n {namespace} {POD} -o jsonpath={{..name}}")
    else:
        assert POD in site.type(f"kubectl get pods -n {namespace}")
    inside = shlex.split(text.partition(" -- ")[2])
    while inside[:1] == ["time"]:
        assert_in_image(inside.pop(0))
    if inside:
        assert_in_image(inside[0])


@pytest.mark.parametrize("typed", TYPED_TODAY)
def test_what_operators_type_today_works_or_is_told_of(site: Site, typed: str) -> None:
    """Each works as it is, or stands in the table of older runbooks, with what to type instead."""
    if any(one.fullmatch(typed) for one in older(RUNBOOKS)):
        return
    command = typed
    for place, name in PLACES.items():
        command = command.replace(f"{{{place}}}", name)
    if re.match(r"(watch )?kubectl (logs|exec|top|port-forward) ", command):
        assert_parts(site, command)
    elif re.match(r"kubectl |curl ", command):
        said = site.type(command)
        assert "Error" not in said
        if f"delete pod -n crossplane-system {POD}" in command:
            site.make_pod()
    else:
        assert command in TODAYS_QUERIES


POD: Final = "provider-discord-0"
PLACES: Final = {"pod": POD, "node": "worker"}
TODAYS_QUERIES: Final = [
    one for one in TYPED_TODAY if re.match(r"sum\(|histogram_quantile\(|provider_discord_", one)
]
QUERIES: Final = [
    *(command.text for command in every(RUNBOOKS) if command.how is How.QUERIED),
    *(one for one in TODAYS_QUERIES if not any(told.fullmatch(one) for told in older(RUNBOOKS))),
]
WHEN_SOMETHING_IS_WRONG: Final = re.compile(
    r'> 0$|status!="success"|status=~|rate_limited_total|histogram_quantile\(0.95, rate'
)
"""In a query: at rest it has no answer. The series that it asks for are there all the same."""


def test_every_query_is_answered(site: Site, tmp_path: Path) -> None:
    assert site.provider is not None
    target = f"127.0.0.1:{site.provider.port}"
    with Prometheus(folder=tmp_path / "prometheus", targets=[target]) as prometheus:
        for query in QUERIES:
            names = re.findall(r"\b(?:provider_discord|workqueue|process)_\w+", query)
            assert names, query
            asked = [f"count({name})" for name in names]
            if not WHEN_SOMETHING_IS_WRONG.search(query):
                asked.append(query)
            prometheus.query(query)
            for one in asked:
                eventually(partial(prometheus.query, one), f"an answer to {one}")


def deployment_of(site: Site, namespace: str, name: str = "provider-discord") -> Mapping[str, Any]:
    return dict(json.loads(site.type(f"kubectl get deployment -n {namespace} {name} -o json")))


def assert_in_image(program: str) -> None:
    """The image has what is run inside the container, by the package that brings it."""
    packages = {
        "curl": "curl",
        "nslookup": "busybox /usr/bin/nslookup",
        "time": "busybox /usr/bin/time",
        "openssl": "openssl",
        "provider-discord": "provider-discord",
    }
    assert packages[program] in IMAGE.read_text(encoding="utf-8")


def test_a_guild_that_was_emptied_gets_its_channels_and_roles_again(
    site: Site, simulator: SimulatorServer
) -> None:
    """Nothing is put back by itself; then by what the runbook says, which both its sections say alike."""
    site.until_true(OBJECTS)
    names = {channel["name"] for channel in simulator.control.channels()}
    mark = simulator.control.last_request()
    for channel in simulator.control.channels():
        simulator.control.delete_channel(channel["id"], actor="Mallory")
    for role in simulator.control.roles():
        if role["name"] == "Organiser":
            simulator.control.delete_role(role["id"], actor="Mallory")

    def held() -> bool:
        guild = next(obj for obj in site.objects() if obj["kind"] == "Guild")
        return condition_of(guild, "Held").get("status") == "True"

    eventually(held, "the guild to be held", explain=lambda: site.log)
    assert simulator.control.requests(since=mark, writes=True) == []

    look, release = [script for _, script in scripts("Restore a guild that was emptied")]
    assert [script for _, script in scripts(HELD) if "release-hold" in script] == release.splitlines()[:1]
    assert "changed by Mallory" in site.type(look)
    site.type(release)
    site.until_true(OBJECTS)
    assert {channel["name"] for channel in simulator.control.channels()} == names
    assert "Organiser" in {role["name"] for role in simulator.control.roles()}
    assert not held()


def test_a_lost_cluster_is_restored_without_a_write_at_discord(
    site: Site, new_site: Callable[[], Site], simulator: SimulatorServer
) -> None:
    """Backed up, the cluster gone with its etcd, restored into a new one by the runbook; and removed at last."""
    site.until_true(OBJECTS)
    token = site_token(site)
    site.type(next(script for _, script in scripts("Back up")))
    for name in ("discord-backup.yaml", "values.yaml"):
        assert token not in (site.folder / name).read_text(encoding="utf-8")
    manifest = "helm get manifest provider-discord -n crossplane-system"
    installed = site.type(manifest)
    assert VALUES["image"]["repository"] in installed
    assert site.provider is not None
    site.provider.kill()
    site.control_plane.stop()
    was = [simulator.control.guild(), simulator.control.channels(), simulator.control.roles()]
    mark = simulator.control.last_request()

    began = time.monotonic()
    new = new_site()
    for name in ("discord-backup.yaml", "values.yaml"):
        shutil.copy(site.folder / name, new.folder)
    install, credentials, restore = [script for _, script in scripts("Restore a lost cluster")]
    new.type(install)
    # The provider starts when its Deployment is there.
    new.run_provider()
    provider_took = (time.monotonic() - began) / TIME_SCALE
    assert new.type(manifest) == installed, "the same image, rights, ports and dashboards"
    new.type(credentials, typed=f"{token}\n")
    said = new.type(restore)
    took = (time.monotonic() - began) / TIME_SCALE

    assert "general" in said
    new.until_true(OBJECTS)
    assert simulator.control.requests(since=mark, writes=True) == []
    assert [simulator.control.guild(), simulator.control.channels(), simulator.control.roles()] == was
    print(f"provider restored after {provider_took:.0f} s, {OBJECTS} objects after {took:.0f} s, unscaled")
    assert provider_took < PROVIDER_OBJECTIVE_SECONDS
    assert took < OBJECTS_OBJECTIVE_SECONDS

    new.type(next(script for _, script in scripts("Remove the provider")))
    assert new.provider is not None
    assert new.provider.stop() == 0
    assert len(new.objects()) == OBJECTS
    assert not any(obj["metadata"].get("deletionTimestamp") for obj in new.objects())
    assert simulator.control.requests(since=mark, writes=True) == []
