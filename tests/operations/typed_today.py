"""What operators of a provider of this name have in their fingers, command by command.

`{pod}` and `{node}` stand for a name. Each must work with the chart as it is, or be a row of the table "Where
older runbooks fail"; `test_runbooks` sees to it.
"""

from __future__ import annotations

from typing import Final

_IN: Final = "-n crossplane-system"
_EXEC: Final = f"kubectl exec {_IN} deployment/provider-discord --"
_LOGS: Final = f"kubectl logs {_IN} deployment/provider-discord"
_SECRET: Final = "kubectl create secret generic discord-credentials --from-literal=token=$NEW_BOT_TOKEN"
_OPERATIONS: Final = "provider_discord_api_operations_total"


def _limits(limit: str) -> str:
    """Return the patch that sets a limit of the container."""
    resources = f'{{"name":"provider","resources":{{"limits":{{{limit}}}}}}}'
    spec = f'{{"spec":{{"template":{{"spec":{{"containers":[{resources}]}}}}}}}}'
    return f"kubectl patch deployment {_IN} provider-discord -p '{spec}'"


TYPED_TODAY: Final = (
    f"kubectl get pods {_IN} -l app=provider-discord",
    f"kubectl describe pod {_IN} {{pod}}",
    f"kubectl describe pod {_IN} deployment/provider-discord",
    f"kubectl logs {_IN} {{pod}} --previous",
    f"kubectl logs {_IN} {{pod}} -f",
    f"{_LOGS} | grep -i error | tail -20",
    f"{_LOGS} | grep -i reconcile",
    f"{_LOGS} | grep -i memory",
    f"{_LOGS} | grep -i security",
    f'{_LOGS} | grep -i "circuit.*open"',
    f'{_LOGS} | grep -i "rate.*limit"',
    f"watch {_LOGS} --tail=10",
    f"kubectl top pod {_IN}",
    f"kubectl top pod {_IN} {{pod}}",
    "kubectl describe node",
    "kubectl describe node {node}",
    "kubectl get events --sort-by=.lastTimestamp",
    "kubectl get events --sort-by=.lastTimestamp -A | grep -i discord",
    _limits('"memory":"512Mi"'),
    _limits('"memory":"1Gi"'),
    _limits('"cpu":"500m"'),
    f"kubectl describe deployment {_IN} provider-discord",
    f"kubectl rollout restart deployment/provider-discord {_IN}",
    f"kubectl delete pod {_IN} {{pod}}",
    "docker pull ghcr.io/rossigee/provider-discord:v0.2.0",
    f"kubectl set image deployment/provider-discord {_IN} provider=ghcr.io/rossigee/provider-discord:v0.2.0",
    "kubectl get providerconfig",
    "kubectl get providerconfig -o yaml > provider-config-backup.yaml",
    "kubectl describe providerconfig default",
    f"kubectl get secret {_IN} discord-credentials",
    f"kubectl get secret {_IN} discord-credentials -o yaml",
    f"kubectl get secret discord-credentials {_IN} -o yaml > discord-secrets-backup.yaml",
    f"kubectl describe secret {_IN} discord-credentials",
    f"{_SECRET} --dry-run=client -o yaml | kubectl apply -f -",
    "kubectl get rolebinding,clusterrolebinding -A -o wide | grep discord",
    'curl -H "Authorization: Bot $DISCORD_BOT_TOKEN" https://discord.com/api/v10/users/@me',
    'curl -w "@curl-format.txt" -s https://discord.com/api/v10',
    f"{_EXEC} curl -s https://discord.com/api/v10",
    f"{_EXEC} curl -v https://discord.com/api/v10",
    f"{_EXEC} time curl -s https://discord.com/api/v10",
    f"{_EXEC} nslookup discord.com",
    f"{_EXEC} openssl s_client -connect discord.com:443 -verify_return_error",
    f"kubectl port-forward {_IN} deployment/provider-discord 8080:8080",
    "curl http://localhost:8080/healthz",
    "curl http://localhost:8080/readyz",
    f"kubectl get networkpolicy {_IN}",
    f"kubectl delete networkpolicy {_IN} provider-discord-netpol",
    "kubectl get pods -n kube-system -l k8s-app=kube-dns",
    "kubectl get guilds,channels,roles -A",
    "kubectl get guilds,channels,roles -A -o wide",
    "kubectl get guilds,channels,roles -A -w",
    "kubectl get guilds,channels,roles -A --no-headers | wc -l",
    "kubectl get guilds,channels,roles -A -o yaml > discord-resources-backup.yaml",
    "kubectl describe guild my-guild",
    'kubectl annotate guild my-guild reconcile.crossplane.io/trigger="$(date)"',
    "helm install provider-discord ./chart/provider-discord",
    "kubectl apply -f provider-config-backup.yaml",
    "kubectl apply -f discord-secrets-backup.yaml",
    "kubectl apply -f discord-resources-backup.yaml",
    f'sum(rate({_OPERATIONS}{{status!="success"}}[5m])) by (status, resource_type)',
    f'sum(rate({_OPERATIONS}{{status!="success"}}[5m])) by (resource_type, status)',
    f"sum(rate({_OPERATIONS}[1m])) * 60",
    f"sum(rate({_OPERATIONS}[5m])) by (resource_type, operation)",
    "histogram_quantile(0.95, rate(provider_discord_api_duration_seconds_bucket[5m]))",
    "histogram_quantile(0.95, rate(provider_discord_api_duration_seconds_bucket[5m])) by (operation)",
    'provider_discord_circuit_breaker_state{state="open"}',
    "provider_discord_resources_total",
)
