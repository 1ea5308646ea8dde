{{/* Whether something else than this chart decides how many replicas there are. */}}
{{- define "collector.scaled" -}}
{{ if or .Values.autoscaling.enabled .Values.keda.enabled }}yes{{ end }}
{{- end -}}

{{/* Pods that a rollout starts beside those that there are. */}}
{{- define "collector.surge" -}}1{{- end -}}
