{{/* The add-ons that this cluster has, as one object. */}}
{{- define "platform.addons" -}}
{{- $on := dict -}}
{{- range $name, $addon := .Values.addons -}}
{{- if $addon.enabled }}{{ $_ := set $on $name $addon }}{{ end -}}
{{- end -}}
{{ $on | toJson }}
{{- end -}}

{{/* How Argo CD keeps an Application; each adds options of its own to the list. */}}
{{- define "platform.syncOptions" -}}
- ServerSideApply=true
- RespectIgnoreDifferences=true
- PruneLast=true
- CreateNamespace=true
{{- end -}}

{{- define "platform.retry" -}}
retry: {limit: 5, backoff: {duration: 10s, factor: 2, maxDuration: 3m0s}}
{{- end -}}
