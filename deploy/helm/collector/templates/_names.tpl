{{/* The release's name, with the chart's in it: what every object's name begins with. */}}
{{- define "collector.name" -}}
{{- $name := .Release.Name -}}
{{- if not (contains .Chart.Name $name) }}{{ $name = printf "%s-%s" $name .Chart.Name }}{{ end -}}
{{- $name | trunc 30 | trimSuffix "-" -}}
{{- end -}}

{{/*
Takes (list . "component"). What a selector says: it can never be changed, so it bears no version. The spool is
another program than the rest.
*/}}
{{- define "collector.selector" -}}
{{- $ := index . 0 -}}
app.kubernetes.io/name: {{ eq (index . 1) "spool" | ternary "redis" $.Chart.Name }}
app.kubernetes.io/instance: {{ $.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Takes (list . "component"). */}}
{{- define "collector.labels" -}}
{{- $ := index . 0 -}}
{{ include "collector.podLabels" . }}
app.kubernetes.io/managed-by: {{ $.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $.Chart.Name $.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{/* Takes (list . "component"). Of a pod: what changes with the chart alone would start pods anew. */}}
{{- define "collector.podLabels" -}}
{{ include "collector.selector" . }}
app.kubernetes.io/part-of: {{ (index . 0).Chart.Name }}
{{- if ne (index . 1) "spool" }}
app.kubernetes.io/version: {{ include "collector.version" (index . 0) | quote }}
{{- end }}
{{- end -}}

{{/* The collector's version, as far as it is known. */}}
{{- define "collector.version" -}}
{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{/* A digest says exactly which image it is; the tag beside it is for those who read. */}}
{{- define "collector.image" -}}
{{ .Values.image.repository }}:{{ include "collector.version" . }}
{{- with .Values.image.digest }}@{{ . }}{{ end }}
{{- end -}}

{{- define "collector.postgres" -}}
{{ include "collector.name" . }}-postgres
{{- end -}}

{{- define "collector.redis" -}}
{{ include "collector.name" . }}-redis
{{- end -}}

{{/*
Takes (list . "component" suffix wave), and after them more labels. Argo CD applies one wave after the other; for
others a wave means nothing, and is not there.
*/}}
{{- define "collector.metadata" -}}
{{- $ := index . 0 -}}
name: {{ include "collector.name" $ }}{{ index . 2 }}
labels:
  {{- include "collector.labels" . | nindent 2 }}
  {{- range $labels := slice . 4 }}
  {{- range $key, $value := $labels }}
  {{ $key }}: {{ $value | quote }}
  {{- end }}
  {{- end }}
{{- with include "collector.wave" (list $ (index . 3)) }}
annotations:
  {{- . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Whether Argo CD applies it, wave by wave. */}}
{{- define "collector.underArgo" -}}
{{- with .Values.migrations }}{{ if or .waves (eq .mode "argoSync") }}yes{{ end }}{{ end -}}
{{- end -}}

{{/* Takes (list . wave). */}}
{{- define "collector.wave" -}}
{{- if include "collector.underArgo" (index . 0) -}}
argocd.argoproj.io/sync-wave: {{ index . 1 | quote }}
{{- end -}}
{{- end -}}

{{/* Annotations of what must outlive the release. */}}
{{- define "collector.keep" -}}
helm.sh/resource-policy: keep
argocd.argoproj.io/sync-options: Prune=false,Delete=false
{{- end -}}
