{{/* Two settings where nobody has said otherwise; a test holds them to the collector's own defaults. */}}
{{- define "collector.poolSize" -}}
{{ dig "POSTGRES_POOL_SIZE" 5 .Values.settings | int }}
{{- end -}}

{{- define "collector.spoolMiB" -}}
{{ dig "SPOOL_MAX_MIB" 512 .Values.settings | int }}
{{- end -}}

{{/* Whether the data is in PostgreSQL, which alone has a worker and a migration beside those that serve. */}}
{{- define "collector.withPostgres" -}}
{{ if ne .Values.database.mode "embedded" }}yes{{ end }}
{{- end -}}

{{/* Whether CloudNativePG runs instances for this release: its database, or a standby of another region's. */}}
{{- define "collector.withInstances" -}}
{{ if or (eq .Values.database.mode "cnpg") .Values.database.standby.of }}yes{{ end }}
{{- end -}}

{{/* Whether the URL of Redis is in a Secret. */}}
{{- define "collector.withRedisSecret" -}}
{{ if and (eq .Values.redis.mode "existing") .Values.redis.existing.secret.name }}yes{{ end }}
{{- end -}}

{{/* Whether `helm test` may come in: where tokens are asked for, it needs one. */}}
{{- define "collector.withTest" -}}
{{ if or (not .Values.tokens.secret.name) .Values.test.secret.name }}yes{{ end }}
{{- end -}}

{{/* The Secret with the database's password: its name, and the keys in it. */}}
{{- define "collector.databaseSecret" -}}
{{- if eq .Values.database.mode "cnpg" -}}
{{- if .Values.database.standby.of }}
name: {{ .Values.database.existing.secret.name }}
{{- else }}
name: {{ include "collector.postgres" . }}-app
{{- end }}
key: password
caKey: ""
{{- else -}}
{{ toYaml .Values.database.existing.secret }}
{{- end -}}
{{- end -}}

{{/* Straight to the primary: a leader's lock is its session's, and writers keep statements in theirs. */}}
{{- define "collector.connectionString" -}}
{{- if eq .Values.database.mode "cnpg" -}}
postgres://collector@{{ include "collector.postgres" . }}-rw:5432/collector
{{- else -}}
{{- with .Values.database.existing -}}
postgres://{{ .user }}@{{ .host }}:{{ .port | int }}/{{ .name }}{{ with .parameters }}?{{ . }}{{ end }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Of the same database: a standby has its users and their passwords too. */}}
{{- define "collector.replicaConnectionString" -}}
{{- $user := "collector" -}}
{{- $name := "collector" -}}
{{- if eq .Values.database.mode "existing" -}}
{{- $user = .Values.database.existing.user -}}
{{- $name = .Values.database.existing.name -}}
{{- end -}}
{{- with .Values.database.replica -}}
postgres://{{ $user }}@{{ .host }}:{{ .port | int }}/{{ $name }}{{ with .parameters }}?{{ . }}{{ end }}
{{- end -}}
{{- end -}}

{{- define "collector.redisUrl" -}}
{{- if eq .Values.redis.mode "statefulset" -}}
redis://{{ include "collector.redis" . }}:6379/0
{{- else if eq .Values.redis.mode "existing" -}}
{{ .Values.redis.existing.url }}
{{- end -}}
{{- end -}}

{{/* Every plain setting that all roles may have, a line each. */}}
{{- define "collector.settings" -}}
DRAIN_SECONDS: {{ toJson .Values.leaving.drainSeconds | quote }}
GRACEFUL_SECONDS: {{ toJson .Values.leaving.gracefulSeconds | quote }}
{{- if include "collector.withPostgres" . }}
POSTGRES_CONNECTION_STRING: {{ include "collector.connectionString" . | quote }}
POSTGRES_PASSWORD_FILE: /run/secrets/database/password
{{- if .Values.database.replica.host }}
POSTGRES_REPLICA_CONNECTION_STRING: {{ include "collector.replicaConnectionString" . | quote }}
{{- end }}
{{- end }}
{{- with include "collector.redisUrl" . }}
REDIS_URL: {{ . | quote }}
{{- end }}
{{- if include "collector.withRedisSecret" . }}
REDIS_URL_FILE: /run/secrets/redis/url
{{- end }}
{{- range $name, $value := .Values.settings }}
{{ $name }}: {{ kindIs "string" $value | ternary $value (toJson $value) | quote }}
{{- end }}
{{- end -}}
