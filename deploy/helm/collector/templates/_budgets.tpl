{{/* Whether something else than this chart decides how many replicas there are. */}}
{{- define "collector.scaled" -}}
{{ if .Values.autoscaling.enabled }}yes{{ end }}
{{- end -}}

{{- define "collector.scaledByKeda" -}}
{{ if and .Values.autoscaling.enabled .Values.autoscaling.keda.enabled }}yes{{ end }}
{{- end -}}

{{/* Pods that a rollout starts beside those that there are. */}}
{{- define "collector.surge" -}}1{{- end -}}

{{/*
The same of those that serve. A canary at 100 % and a preview are as many as there are already, so that the way back
is a change of weights or of a selector, and waits for no pod to start.
*/}}
{{- define "collector.servingSurge" -}}
{{- if and (include "collector.progressive" .) (not .Values.database.connections.blueGreen) -}}
{{ include "collector.maxReplicas" . }}
{{- else -}}
{{ include "collector.surge" . }}
{{- end -}}
{{- end -}}

{{/* Workers at the most, without the surge; KEDA may add one that stands by. */}}
{{- define "collector.maxWorkers" -}}
{{- $workers := int .Values.worker.replicas -}}
{{ if include "collector.scaledByKeda" . }}{{ max 2 $workers }}{{ else }}{{ $workers }}{{ end }}
{{- end -}}

{{- define "collector.maxReplicas" -}}
{{ if include "collector.scaled" . }}{{ int .Values.autoscaling.max }}{{ else }}{{ int .Values.replicas }}{{ end }}
{{- end -}}

{{/*
Connections to PostgreSQL at the most. One that serves holds its pool and five: two that write, one each for
checks, versions and sums. A worker holds eight: two that write, one each for checks, versions, sums, upkeep, dead
letters and the lead. A migration holds two. Under blue-green all of it is there twice.
*/}}
{{- define "collector.connections" -}}
{{- $surge := include "collector.surge" . | int -}}
{{- $each := include "collector.poolSize" . | int | add 5 -}}
{{- $serving := mul (include "collector.servingSurge" . | int | add (include "collector.maxReplicas" .)) $each -}}
{{- $working := mul (include "collector.maxWorkers" . | int | add $surge) 8 -}}
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
