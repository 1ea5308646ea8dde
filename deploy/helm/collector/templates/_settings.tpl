{{/* What a setting is where nobody has said otherwise; a test holds them to the collector's own. */}}
{{- define "collector.poolSize" -}}
{{ dig "POSTGRES_POOL_SIZE" 5 .Values.settings | int }}
{{- end -}}

{{/* Whether the data is in PostgreSQL. */}}
{{- define "collector.withPostgres" -}}
{{ if ne .Values.database.mode "embedded" }}yes{{ end }}
{{- end -}}

{{/* The secret that holds the database's password, and the key in it. */}}
{{- define "collector.databaseSecret" -}}
{{- if eq .Values.database.mode "cnpg" -}}
name: {{ include "collector.postgres" . }}-app
key: password
{{- else -}}
{{ toYaml .Values.database.existing.secret }}
{{- end -}}
{{- end -}}

{{- define "collector.connectionString" -}}
{{- if eq .Values.database.mode "cnpg" -}}
{{/* Straight to the primary: the leader's lock is its session's. */ -}}
postgres://collector@{{ include "collector.postgres" . }}-rw:5432/collector
{{- else -}}
{{- with .Values.database.existing -}}
postgres://{{ .user }}@{{ .host }}:{{ .port | int }}/{{ .name }}{{ with .parameters }}?{{ . }}{{ end }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "collector.redisUrl" -}}
{{- if eq .Values.redis.mode "statefulset" -}}
redis://{{ include "collector.redis" . }}:6379/0
{{- else if eq .Values.redis.mode "existing" -}}
{{ .Values.redis.existing.url }}
{{- end -}}
{{- end -}}

{{/*
Every plain setting, a line each. The collector asks for no tokens yet, and does not listen beyond loopback unless it
is told that everyone who reaches it may read and write; gateway.anonymous is where that is said of the outside.
*/}}
{{- define "collector.settings" -}}
ALLOW_ANONYMOUS: "true"
DRAIN_SECONDS: {{ .Values.leaving.drainSeconds | toString | quote }}
GRACEFUL_SECONDS: {{ .Values.leaving.gracefulSeconds | toString | quote }}
{{- if include "collector.withPostgres" . }}
POSTGRES_CONNECTION_STRING: {{ include "collector.connectionString" . | quote }}
POSTGRES_PASSWORD_FILE: /run/secrets/database/password
{{- end }}
{{- with include "collector.redisUrl" . }}
REDIS_URL: {{ . | quote }}
{{- end }}
{{- if eq .Values.redis.mode "existing" }}
{{- if .Values.redis.existing.secret.name }}
REDIS_URL_FILE: /run/secrets/redis/url
{{- end }}
{{- end }}
{{- range $name, $value := .Values.settings }}
{{ $name }}: {{ kindIs "string" $value | ternary $value (toJson $value) | quote }}
{{- end }}
{{- end -}}
