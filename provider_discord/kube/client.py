"""Object access over HTTP.

Of the `kubernetes` package only `ApiClient` is used, with raw paths: it brings TLS, proxies and credentials.
Its typed API classes would import 66 MB of models and turn unknown fields away; its `Watch` loses the
resourceVersion of raw objects and reconnects without bound, and no call of it has a timeout by itself. So
every call here has one, nothing is retried behind the caller's back, and JSON is decoded here.
"""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import structlog
import urllib3
from kubernetes.client.api_client import ApiClient
from kubernetes.config import ConfigException
from kubernetes.utils.keepalive import tcp_keepalive_socket_options

from provider_discord.kube.access import Page
from provider_discord.kube.config import ClusterConfig, load_config
from provider_discord.kube.errors import (
    KubeConfigError,
    MalformedResponse,
    NotFound,
    Unauthorized,
    Unreachable,
    error_from_response,
)
from provider_discord.kube.resource import Key, Obj, Resource, key_of
from provider_discord.kube.response import TRANSPORT_ERRORS, HttpWatch, decode, read_body, unreachable
from provider_discord.kube.timings import KubeTimings

if TYPE_CHECKING:
    from provider_discord.telemetry.metrics import Metrics

__all__ = ["KubeClient", "connect"]

_log = structlog.get_logger()

_RELOAD_INTERVAL_SECONDS = 10.0


def connect(
    kubeconfig: Path | None = None,
    context: str | None = None,
    *,
    pool_size: int = 32,
    timings: KubeTimings | None = None,
    user_agent: str = "provider-discord",
    metrics: Metrics | None = None,
) -> KubeClient:
    """Make a client from a kubeconfig or the pod's service account. Sends nothing yet.

    Args:
        kubeconfig: see `load_config`.
        context: see `load_config`.
        pool_size: connections kept open: one for each worker and watch, and a few more.
        timings: this room's constants.
        user_agent: the part before the slash is our name in managedFields.
        metrics: where requests are counted.

    Raises:
        KubeConfigError: no usable way to a cluster was found.
    """
    timings = timings or KubeTimings()
    cluster = load_config(kubeconfig, context)
    configuration = cluster.configuration
    configuration.retries = False
    configuration.connection_pool_maxsize = pool_size
    configuration.socket_options = tcp_keepalive_socket_options(
        idle=timings.tcp_keepalive_idle_seconds,
        interval=timings.tcp_keepalive_interval_seconds,
        count=timings.tcp_keepalive_count,
    )
    try:
        api_client = ApiClient(configuration)
    except (OSError, ValueError, urllib3.exceptions.HTTPError) as error:
        msg = f"{cluster.source} can't be used: {error}"
        raise KubeConfigError(msg) from error
    return KubeClient(
        api_client,
        cluster=cluster,
        timings=timings,
        user_agent=user_agent,
        metrics=metrics,
        reload=lambda: load_config(kubeconfig, context),
    )


class _Credentials:
    """Puts the Authorization header on; reads the credentials anew when the API server no longer takes them.

    The `kubernetes` package reads a `tokenFile` once, and projected tokens expire within the hour.
    """

    def __init__(self, api_client: Any, reload: Callable[[], ClusterConfig] | None) -> None:
        self._api_client = api_client
        self._reload = reload
        self._lock = threading.Lock()
        self._reloaded_at = float("-inf")

    def apply(self, headers: dict[str, str], *, method: str, path: str) -> None:
        try:
            with self._lock:
                self._api_client.update_params_for_auth(headers, [], ["BearerToken"], path, method, None)
        except (ConfigException, OSError) as error:
            msg = f"{method} {path}: the credentials can't be read: {error}"
            raise Unreachable(msg) from error

    def rejected(self) -> None:
        now = time.monotonic()
        with self._lock:
            if self._reload is None or now - self._reloaded_at < _RELOAD_INTERVAL_SECONDS:
                return
            self._reloaded_at = now
            try:
                fresh = self._reload().configuration
            except KubeConfigError as error:
                _log.warning("the credentials for the API server could not be read again", error=str(error))
                return
            self._api_client.configuration.api_key = fresh.api_key
            self._api_client.configuration.refresh_api_key_hook = fresh.refresh_api_key_hook


class KubeClient:
    """`ObjectAccess` to a real API server. Every method may be called from any thread."""

    def __init__(
        self,
        api_client: Any,
        *,
        cluster: ClusterConfig,
        timings: KubeTimings,
        user_agent: str,
        metrics: Metrics | None = None,
        reload: Callable[[], ClusterConfig] | None = None,
    ) -> None:
        self._api_client = api_client
        self._cluster = cluster
        self._timings = timings
        self._request_timeout = timings.request_timeout_seconds
        self._user_agent = user_agent
        self._metrics = metrics
        self._credentials = _Credentials(api_client, reload)
        self._host = str(cluster.configuration.host).rstrip("/")
        self._host_label = urlsplit(self._host).netloc

    @property
    def host(self) -> str:
        """The API server's URL."""
        return self._host

    @property
    def namespace(self) -> str:
        """The namespace of the kubeconfig's context, or our pod's."""
        return self._cluster.namespace

    @property
    def in_cluster(self) -> bool:
        """Whether we run in a pod and use its service account."""
        return self._cluster.in_cluster

    def __repr__(self) -> str:
        return f"KubeClient({self._host})"

    def with_timeout(self, seconds: float) -> KubeClient:
        """Return a client over the same connections whose calls fail after `seconds` of silence."""
        other = copy.copy(self)
        other._request_timeout = seconds  # noqa: SLF001 - it is our own copy
        return other

    def close(self) -> None:
        """Close the idle connections."""
        self._api_client.close()

    def server_version(self) -> str:
        """Return the API server's version, for example "v1.36.3"; the cheapest way to see that it answers."""
        return str(self._json("GET", "/version").get("gitVersion", "unknown"))

    def get(self, resource: Resource, key: Key) -> Obj:
        """Read one object; see `ObjectAccess`."""
        return self._json("GET", resource.path(key.namespace, key.name))

    def list_page(
        self,
        resource: Resource,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 100,
        continue_token: str = "",
    ) -> Page:
        """Read one page of a list; see `ObjectAccess`."""
        query: dict[str, str] = {"limit": str(limit)}
        if label_selector:
            query["labelSelector"] = label_selector
        if field_selector:
            query["fieldSelector"] = field_selector
        if continue_token:
            query["continue"] = continue_token
        path = resource.path(namespace)
        answer = self._json("GET", path, query=query)
        metadata = answer.get("metadata") or {}
        items = answer.get("items") or []
        if not isinstance(items, list):
            msg = f"GET {path}: the answer is no list of objects"
            raise MalformedResponse(msg)
        # The items of a list of built-in kinds come without their kind.
        items = [
            item if "kind" in item else {"kind": resource.kind, "apiVersion": resource.api_version, **item}
            for item in items
        ]
        return Page(items, str(metadata.get("resourceVersion", "")), str(metadata.get("continue") or ""))

    def create(self, resource: Resource, obj: Obj) -> Obj:
        """Create an object; see `ObjectAccess`."""
        return self._json("POST", resource.path(obj["metadata"].get("namespace")), body=obj)

    def replace(self, resource: Resource, obj: Obj) -> Obj:
        """PUT an object; see `ObjectAccess`."""
        key = key_of(obj)
        return self._json("PUT", resource.path(key.namespace, key.name), body=obj)

    def replace_status(self, resource: Resource, obj: Obj) -> Obj:
        """PUT an object's status; see `ObjectAccess`."""
        key = key_of(obj)
        return self._json("PUT", resource.path(key.namespace, key.name, "status"), body=obj)

    def delete(
        self, resource: Resource, key: Key, *, uid: str | None = None, resource_version: str | None = None
    ) -> None:
        """Delete an object; see `ObjectAccess`."""
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        options: Obj = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        given = {name: value for name, value in preconditions.items() if value}
        if given:
            options["preconditions"] = given
        self._json("DELETE", resource.path(key.namespace, key.name), body=options)

    def watch(
        self,
        resource: Resource,
        *,
        resource_version: str,
        timeout_seconds: float,
        namespace: str | None = None,
        field_selector: str = "",
    ) -> HttpWatch:
        """Follow changes; see `ObjectAccess`."""
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(max(1, round(timeout_seconds))),
        }
        if field_selector:
            query["fieldSelector"] = field_selector
        path = resource.path(namespace)
        response = self._send(
            "GET", path, query=query, body=None, read_timeout=self._timings.watch_inactivity_seconds
        )
        return HttpWatch(response, request=f"watch {path}")

    def verbs(self, resource: Resource) -> frozenset[str]:
        """Return what discovery says may be done to a kind. Raises `NotFound`: it is not served."""
        path = resource.path().rpartition("/")[0]
        for served in self._json("GET", path).get("resources") or ():
            if served.get("name") == resource.plural:
                return frozenset(served.get("verbs") or ())
        raise NotFound(
            status=404, message=f"the API server serves no {resource.plural}", request=f"GET {path}"
        )

    def _json(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Obj | None = None
    ) -> Obj:
        request = f"{method} {path}"
        response = self._send(method, path, query=query, body=body, read_timeout=self._request_timeout)
        return decode(read_body(response, request), request)

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None,
        body: Obj | None,
        read_timeout: float,
    ) -> urllib3.HTTPResponse:
        """Send a request and return a successful answer, its body still unread."""
        headers = {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "User-Agent": self._user_agent,
        }
        self._credentials.apply(headers, method=method, path=path)
        url = f"{self._host}{path}" + (f"?{urlencode(query)}" if query else "")
        request = f"{method} {path}"
        try:
            answer = self._api_client.call_api(
                method,
                url,
                header_params=headers,
                body=body,
                _request_timeout=(self._timings.connect_timeout_seconds, read_timeout),
            )
        except TRANSPORT_ERRORS as error:
            self._count("<error>", method)
            raise unreachable(error, request) from error
        response: urllib3.HTTPResponse = answer.response
        self._count(str(response.status), method)
        if 200 <= response.status < 300:
            return response
        refusal = error_from_response(
            status=response.status,
            body=read_body(response, request),
            retry_after=_seconds(response.headers.get("Retry-After")),
            request=request,
        )
        if refusal.retry_after is not None:
            refusal.retry_after = min(refusal.retry_after, self._timings.retry_after_max_seconds)
        if isinstance(refusal, Unauthorized):
            self._credentials.rejected()
        raise refusal

    def _count(self, code: str, method: str) -> None:
        if self._metrics is not None:
            self._metrics.rest_requests.labels(code=code, method=method, host=self._host_label).inc()


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isascii() and text.isdigit() else None
