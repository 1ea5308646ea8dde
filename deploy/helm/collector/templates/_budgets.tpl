{{/* Whether something else than this chart decides how many replicas there are. */}}
{{- define "collector.scaled" -}}
{{ if .Values.autoscaling.enabled }}yes{{ end }}
{{- end -}}

{{- define "collector.scaledByKeda" -}}
{{ if and .Values.autoscaling.enabled .Values.autoscaling.keda.enabled }}yes{{ end }}
{{- end -}}

{{/* Pods that a rollout starts beside those that there are. */}}
{{- define "collector.surge" -}}1{{- end -}}

{{/* Workers at the most, without the surge; KEDA may add one that stands by. */}}
{{- define "collector.maxWorkers" -}}
{{ if include "collector.scaledByKeda" . }}{{ max 2 (int .Values.worker.replicas) }}{{ else }}{{ int .Values.worker.replicas }}{{ end }}
{{- end -}}

{{- define "collector.maxReplicas" -}}
{{ if include "collector.scaled" . }}{{ int .Values.autoscaling.max }}{{ else }}{{ int .Values.replicas }}{{ end }}
{{- end -}}

{{/*
Connections to PostgreSQL at the most. One that serves holds its pool and five: two that write, one each for checks,
versions and sums. A worker holds seven: two that write, one each for checks, sums, upkeep, dead letters and the
lead. A migration holds two. Under blue-green all of it is there twice.
*/}}
{{- define "collector.connections" -}}
{{- $surge := include "collector.surge" . | int -}}
{{- $serving := mul (add (include "collector.maxReplicas" . | int) $surge) (add (include "collector.poolSize" . | int) 5) -}}
{{- $working := mul (add (include "collector.maxWorkers" . | int) $surge) 7 -}}
{{- mul (add $serving $working 2) (ternary 2 1 .Values.database.connections.blueGreen) -}}
{{- end -}}

{{/* Connections that it may have: PostgreSQL keeps three for its superuser. */}}
{{- define "collector.connectionsAllowed" -}}
{{- with .Values.database.connections }}{{ sub (int .max) (add 3 .headroom) }}{{ end -}}
{{- end -}}

{{/* Seconds that leaving may take: the last commits and letting go of the database get five. */}}
{{- define "collector.leavingSeconds" -}}
{{- with .Values.leaving }}{{ addf .drainSeconds .gracefulSeconds 5 }}{{ end -}}
{{- end -}}
