"""One seed's world: a namespace, a simulated Discord, and a proxy on each side of the provider."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import yaml

from provider_discord.apis.kinds import GROUP, KINDS, PROVIDER_CONFIG, Scope
from provider_discord.simulator import (
    Behaviour,
    ControlClient,
    LimitsConfig,
    Mode,
    SimulatorConfig,
    SimulatorServer,
)
from tests.chaos.beyond import PUT_BACK_LIMIT
from tests.chaos.cluster import Cluster, Endpoint, Obj
from tests.chaos.plan import Family, Plan
from tests.chaos.proxy import Proxy, one_namespace
from tests.chaos.weather import NETWORK, SERVER, Weather

GUILD_NAME: Final = "Chaos Guild"
_SECRET: Final = "discord-bot"


class World:
    """A context manager.

    Args:
        plan: the seed's plan.
        endpoint: the API server.
        name: of the namespace and the ProviderConfig.
        folder: for the kubeconfig.
        kill: ends the provider.
        restart: restarts the API server; None: it can't be.
    """

    def __init__(
        self,
        *,
        plan: Plan,
        endpoint: Endpoint,
        name: str,
        folder: Path,
        kill: Callable[[], bool],
        restart: Callable[[bool], None] | None = None,
    ) -> None:
        self.name = name
        self.cluster = Cluster(endpoint, name)
        self._plan = plan
        self._endpoint = endpoint
        self._folder = folder
        self._restart = restart
        self._tokens = [f"chaos-token-{plan.seed}-0"]
        self._stack = ExitStack()
        self.kube = Weather(seed=f"{plan.drawn_as}/kube", mishaps={**NETWORK, **SERVER}, kill=kill)
        self.discord_side = Weather(seed=f"{plan.drawn_as}/discord", mishaps=NETWORK, kill=kill)
        self.simulator = SimulatorServer(
            SimulatorConfig(
                token=self._tokens[0],
                guild_name=GUILD_NAME,
                bot_permissions=plan.bot_permissions,
                behaviour=Behaviour().changed(**plan.behaviour),
                limits=LimitsConfig(mode=Mode.OFF),
                seed=plan.drawn_as,
            )
        )
        self._kube_proxy: Proxy | None = None
        self._discord_proxy: Proxy | None = None

    @property
    def discord(self) -> ControlClient:
        """The simulated Discord as its people see it."""
        return self.simulator.control

    @property
    def kubeconfig(self) -> Path:
        """The provider's way to the cluster."""
        return self._folder / f"{self.name}.kubeconfig"

    def __enter__(self) -> Self:
        stack = self._stack
        stack.callback(self.cluster.close)
        stack.enter_context(self.simulator)
        namespaced = frozenset(kind.plural for kind in KINDS if kind.scope is Scope.NAMESPACED)
        self._kube_proxy = stack.enter_context(
            Proxy(
                self._endpoint.url,
                weather=self.kube,
                authority=self._endpoint.authority,
                rewrite=one_namespace(self.name, self.name, group=GROUP, namespaced=namespaced),
            )
        )
        self._discord_proxy = stack.enter_context(Proxy(self.simulator.origin, weather=self.discord_side))
        self._write_kubeconfig(self._kube_proxy.url)
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.name}}
        self.cluster.request("POST", "/api/v1/namespaces", namespace)
        self.cluster.request("POST", self._secrets(), self._secret(self._tokens[0]))
        self.cluster.create(self._config(self._discord_proxy.url))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
        self.kubeconfig.unlink(missing_ok=True)

    # What befalls it.

    def cut(self, side: Weather) -> None:
        """Reset every connection of one side."""
        proxy = self._kube_proxy if side is self.kube else self._discord_proxy
        assert proxy is not None
        proxy.cut_all()

    def rotate_token(self, rand: random.Random) -> None:
        """Give the bot another token: at Discord and in the Secret, whichever comes first."""
        old, new = self._tokens[-1], f"chaos-token-{self._plan.seed}-{len(self._tokens)}"
        self._tokens.append(new)
        steps: list[Callable[[], Any]] = [
            lambda: self.discord.replace_token(old, new),
            lambda: self.cluster.request("PUT", f"{self._secrets()}/{_SECRET}", self._secret(new)),
        ]
        rand.shuffle(steps)
        steps[0]()
        time.sleep(rand.uniform(0.0, 0.2))
        steps[1]()

    def restart_api_server(self, *, kill: bool) -> None:
        """Take the API server away and bring it back."""
        assert self._restart is not None, "this API server is not ours to restart"
        self._restart(kill)

    def end_of_faults(self) -> Counter[str]:
        """Let everything through from now on; return what has struck, in all."""
        struck: Counter[str] = Counter()
        for fault in self.discord.faults():
            struck[f"Discord: {fault['effect']}"] += int(fault["hits"])
        self.discord.clear_faults()
        self.discord.refill()
        for side, name in ((self.kube, "API server"), (self.discord_side, "Discord")):
            side.calm()
            for what, count in side.counts.items():
                struck[f"{name}: {what}"] += count
            side.counts.clear()
        return struck

    def tokens(self) -> list[str]:
        """Return every token that the bot ever had."""
        return list(self._tokens)

    # Inside.

    def _secrets(self) -> str:
        return f"/api/v1/namespaces/{self.name}/secrets"

    def _secret(self, token: str) -> Obj:
        metadata = {"name": _SECRET, "namespace": self.name}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"token": token}}

    def _config(self, discord: str) -> Obj:
        spec: Obj = {
            "credentials": {
                "source": "Secret",
                "secretRef": {"namespace": self.name, "name": _SECRET, "key": "token"},
            },
            "baseURL": f"{discord}/api/v10",
        }
        if self._plan.family is Family.BEYOND:
            spec["hold"] = {"putBackLimit": PUT_BACK_LIMIT}
        if self._plan.adoption:
            spec["adoption"] = self._plan.adoption
        return {
            "apiVersion": PROVIDER_CONFIG.api_version,
            "kind": PROVIDER_CONFIG.kind,
            "metadata": {"name": self.name},
            "spec": spec,
        }

    def _write_kubeconfig(self, url: str) -> None:
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "chaos", "cluster": {"server": url}}],
            "users": [{"name": "chaos", "user": {"token": self._endpoint.token}}],
            "contexts": [{"name": "chaos", "context": {"cluster": "chaos", "user": "chaos"}}],
            "current-context": "chaos",
        }
        self.kubeconfig.write_text(yaml.safe_dump(config))
        self.kubeconfig.chmod(0o600)
