{{/*
What the schema can't say: values that contradict each other, or what is in the cluster. Each says what to do.
*/}}
{{- define "provider-discord.check" -}}
{{- include "provider-discord.checkValues" . -}}
{{- include "provider-discord.checkScraping" . -}}
{{- include "provider-discord.checkCluster" . -}}
{{- end -}}

{{- define "provider-discord.checkValues" -}}
{{- if and (gt (int .Values.replicas) 1) (not .Values.provider.leaderElection) -}}
{{- fail "replicas is more than 1 and provider.leaderElection is false: two copies would both write. Turn leader election on, or set replicas to 1." -}}
{{- end -}}
{{- if not (kindIs "string" .Values.image.tag) -}}
{{- fail (printf "image.tag is the number %v, not text, and may have lost digits: use --set-string image.tag=..., or quote it in the values file." .Values.image.tag) -}}
{{- end -}}
{{- if eq (include "provider-discord.milliseconds" .Values.provider.poll) "0" -}}
{{- fail (printf "provider.poll is %s, no time at all: say how often each object is checked for drift, such as 1m." .Values.provider.poll) -}}
{{- end -}}
{{- range $name, $_ := include "provider-discord.selectorLabels" . | fromYaml -}}
{{- if hasKey $.Values.podLabels $name -}}
{{- fail (printf "podLabels has %s, by which Service, NetworkPolicy and operators find the pods: take it out." $name) -}}
{{- end -}}
{{- end -}}
{{- $seen := list "POD_NAME" -}}
{{- range .Values.provider.extraEnv -}}
{{- if has .name $seen -}}
{{- fail (printf "provider.extraEnv sets %s, which is set already: take it out." .name) -}}
{{- end -}}
{{- $seen = append $seen .name -}}
{{- end -}}
{{- if and .Values.rbac.connectionSecrets (not .Values.rbac.readNamespaces) -}}
{{- fail "rbac.connectionSecrets says that connection Secrets may be written, and rbac.readNamespaces names no namespace for them: name those where the objects are, or [\"*\"]." -}}
{{- end -}}
{{- end -}}

{{- define "provider-discord.checkScraping" -}}
{{- with .Values.metrics.serviceMonitor -}}
{{- if gt (include "provider-discord.milliseconds" .scrapeTimeout | int64) (include "provider-discord.milliseconds" .interval | int64) -}}
{{- fail (printf "metrics.serviceMonitor.scrapeTimeout (%s) is more than its interval (%s), which Prometheus refuses: shorten one or lengthen the other." .scrapeTimeout .interval) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.prometheusRule.enabled .Values.prometheusRule.requireServiceMonitor (not .Values.metrics.serviceMonitor.enabled) -}}
{{- fail "prometheusRule.enabled is true and metrics.serviceMonitor.enabled is not: the alerts go by job=\"provider-discord\", which the ServiceMonitor sees to, and would be about nothing. Set metrics.serviceMonitor.enabled=true; or, if something else scrapes the provider as that job (docs/operations/metrics.md), prometheusRule.requireServiceMonitor=false." -}}
{{- end -}}
{{- end -}}

{{- define "provider-discord.checkCluster" -}}
{{- if .Values.checkForOthers -}}
{{- range (lookup "apps/v1" "Deployment" "" "").items -}}
{{- $labels := mergeOverwrite (dict) (dig "spec" "template" "metadata" "labels" dict .) (.metadata.labels | default dict) -}}
{{- if or (eq (get $labels "app") "provider-discord") (eq (get $labels "app.kubernetes.io/name") "provider-discord") -}}
{{- $marks := .metadata.annotations | default dict -}}
{{- $release := get $marks "meta.helm.sh/release-name" -}}
{{- $own := and (eq $release $.Release.Name) (eq (get $marks "meta.helm.sh/release-namespace") $.Release.Namespace) -}}
{{- $same := and (eq .metadata.name (include "provider-discord.fullname" $)) (eq .metadata.namespace $.Release.Namespace) -}}
{{- if not (or $own $same) -}}
{{- $as := ternary (printf "as release %s in namespace %s" $release (get $marks "meta.helm.sh/release-namespace")) "not by Helm" (ne $release "") -}}
{{- fail (printf "provider-discord is installed already, %s (Deployment %s/%s): two would serve the same objects and both write. Uninstall one of them." $as .metadata.namespace .metadata.name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.credentials.token .Release.IsInstall -}}
{{- $state := include "provider-discord.liveToken" . -}}
{{- if not (has $state (list "" "same")) -}}
{{- fail (printf "the Secret %s/%s is there already and %s; credentials.token only makes one where there is none. Leave credentials.token out, and put the token into the Secret (paste it, then press Ctrl-D twice): %s" .Release.Namespace .Values.credentials.secretName $state (include "provider-discord.rotate" .)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A duration (1m30s) as milliseconds, rounded down. */}}
{{- define "provider-discord.milliseconds" -}}
{{- $factors := dict "ms" 1.0 "s" 1000.0 "m" 60000.0 "h" 3600000.0 -}}
{{- $sum := 0.0 -}}
{{- range regexFindAll "[0-9.]+[a-z]+" . -1 -}}
{{- $sum = addf $sum (mulf (regexFind "[0-9.]+" . | float64) (get $factors (regexFind "[a-z]+" .))) -}}
{{- end -}}
{{- $sum | int64 -}}
{{- end -}}
