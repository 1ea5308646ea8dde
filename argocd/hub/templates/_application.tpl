{{/* How Argo CD keeps an Application. Takes whether it deletes what is no longer in git: never where CRDs are. */}}
{{- define "hub.sync" -}}
automated: {prune: {{ . }}, selfHeal: true}
syncOptions: [ServerSideApply=true, RespectIgnoreDifferences=true, PruneLast=true]
retry: {limit: 5, backoff: {duration: 10s, factor: 2, maxDuration: 3m0s}}
{{- end -}}
