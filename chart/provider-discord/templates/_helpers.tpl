{{/*
Gives every value that is missing its default, in .Values itself; every template begins with it. `helm upgrade
--reuse-values` takes the values of the installed release and none of the new chart's own, so that a template of this
chart may be given the values of an older one. What is free in form (probes, resources, labels) is not filled up: there
a missing key is somebody's choice.
*/}}
{{- define "provider-discord.fill" -}}
{{- include "provider-discord.fillSection" (dict "values" .Values "defaults" (omit (.Files.Get "files/defaults.yaml" | fromYaml) "livenessProbe" "readinessProbe" "resources" "affinity")) -}}
{{- end -}}

{{- define "provider-discord.fillSection" -}}
{{- $sections := list "image" "provider" "credentials" "providerConfig" "crds" "serviceAccount" "rbac" "service" "metrics" "serviceMonitor" "prometheusRule" "dashboards" "networkPolicy" "podDisruptionBudget" -}}
{{- range $name, $default := .defaults -}}
{{- if not (hasKey $.values $name) -}}
{{- $_ := set $.values $name $default -}}
{{- else if has $name $sections -}}
{{- include "provider-discord.fillSection" (dict "values" (get $.values $name) "defaults" $default) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The release's name as part of every object's: `helm install provider-discord` gives exactly provider-discord. */}}
{{- define "provider-discord.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | replace "." "-" | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | replace "." "-" | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* `app` is what operators select by, whatever the release is called. */}}
{{- define "provider-discord.selectorLabels" -}}
app: provider-discord
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "provider-discord.labels" -}}
{{ include "provider-discord.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: crossplane
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{/* Not the provider's: no Service may send anybody to the test's pod. */}}
{{- define "provider-discord.testLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* The chart's labels and those of a value, which win: many a Prometheus selects by `app`. */}}
{{- define "provider-discord.labelsAnd" -}}
{{- toYaml (mergeOverwrite (include "provider-discord.labels" (index . 0) | fromYaml) (index . 1)) -}}
{{- end -}}

{{- define "provider-discord.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "provider-discord.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "provider-discord.image" -}}
{{- $tag := .Values.image.tag | default (printf "v%s" .Chart.AppVersion) -}}
{{- if .Values.image.digest -}}
{{- printf "%s:%s@%s" .Values.image.repository $tag .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository $tag -}}
{{- end -}}
{{- end -}}

{{/* The Lease has one name however the release is called: two installations in a namespace must not both write. */}}
{{- define "provider-discord.leaseName" -}}
crossplane-leader-election-provider-discord
{{- end -}}

{{/* Reading what manifests name, by name only. */}}
{{- define "provider-discord.readRules" -}}
# Tokens (ProviderConfig.spec.credentials.secretRef) and images (spec.forProvider.iconFrom ...), by their names.
- apiGroups: [""]
  resources: [secrets, configmaps]
  verbs: [get]
{{- if .Values.rbac.connectionSecrets }}
# Connection Secrets: spec.writeConnectionSecretToRef.
- apiGroups: [""]
  resources: [secrets]
  verbs: [create, update]
{{- end }}
{{- end -}}

{{- define "provider-discord.providerConfigSpec" -}}
credentials:
  source: Secret
  secretRef:
    namespace: {{ .Release.Namespace }}
    name: {{ .Values.credentials.secretName }}
    key: {{ .Values.credentials.key }}
{{- with .Values.providerConfig.spec }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The ProviderConfig as it is in the cluster, as YAML, {} if there is none. Helm fails to look up an unknown kind. */}}
{{- define "provider-discord.liveProviderConfig" -}}
{{- $live := dict -}}
{{- if .Capabilities.APIVersions.Has "discord.crossplane.io/v1alpha1/ProviderConfig" -}}
{{- $live = lookup "discord.crossplane.io/v1alpha1" "ProviderConfig" "" .Values.providerConfig.name -}}
{{- end -}}
{{- toYaml $live -}}
{{- end -}}

{{/* What became of credentials.token: "" (there is no Secret yet), "same", or how the Secret that is there differs. */}}
{{- define "provider-discord.liveToken" -}}
{{- $live := lookup "v1" "Secret" .Release.Namespace .Values.credentials.secretName -}}
{{- if $live -}}
{{- $data := $live.data | default dict -}}
{{- if not (hasKey $data .Values.credentials.key) -}}
has no key {{ .Values.credentials.key }}
{{- else if ne (get $data .Values.credentials.key | b64dec | trim) (.Values.credentials.token | trim) -}}
holds another token
{{- else -}}
same
{{- end -}}
{{- end -}}
{{- end -}}

{{/* How a token is put into its Secret: nothing of it is on a command line or in a file. */}}
{{- define "provider-discord.rotate" -}}
kubectl create secret generic {{ .Values.credentials.secretName }} -n {{ .Release.Namespace }} --from-file={{ .Values.credentials.key }}=/dev/stdin --dry-run=client -o yaml | kubectl apply -f -
{{- end -}}

{{/* Whether a CRD in the cluster is marked as this release's: "true" or nothing. */}}
{{- define "provider-discord.ownsCRD" -}}
{{- $root := index . 0 -}}
{{- $live := lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" (index . 1) -}}
{{- $annotations := dig "metadata" "annotations" dict $live -}}
{{- if and (eq (get $annotations "meta.helm.sh/release-name") $root.Release.Name) (eq (get $annotations "meta.helm.sh/release-namespace") $root.Release.Namespace) -}}
true
{{- end -}}
{{- end -}}
