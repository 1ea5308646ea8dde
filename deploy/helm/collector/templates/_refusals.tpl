{{/* What the schema cannot say: values that each are right, and together would lose events or never run. */}}
{{- define "collector.refuse" -}}
{{- range tuple "embedded" "existing" "replica" "standby" "cnpg" "redis" "scaling" "leaving" "delivery" "connections" "migrations" "gateway" -}}
{{- with include (printf "collector.refuse.%s" .) $ | trim -}}
{{- regexReplaceAll "\\s+" . " " | fail -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "collector.refuse.embedded" -}}
{{- if eq .Values.database.mode "embedded" -}}
{{- if or .Values.autoscaling.enabled (gt (int .Values.replicas) 1) -}}
database.mode embedded is one file for one process: set replicas to 1 and autoscaling.enabled to false, or give it
a PostgreSQL (database.mode existing or cnpg).
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "collector.refuse.existing" -}}
{{- if eq .Values.database.mode "existing" -}}
{{- with .Values.database.existing -}}
{{- if not .host -}}
database.mode existing needs database.existing.host.
{{- else if not .secret.name -}}
database.mode existing needs database.existing.secret.name, the Secret that holds the password.
{{- else if and .externalSecret.enabled (not (and .externalSecret.store .externalSecret.remoteKey)) -}}
database.existing.externalSecret needs store and remoteKey: where the password comes from.
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "collector.refuse.replica" -}}
{{- if and .Values.database.replica.host (not (include "collector.withPostgres" .)) -}}
database.replica.host needs a PostgreSQL that it is a standby of (database.mode existing or cnpg): the embedded
database has none.
{{- end -}}
{{- end -}}

{{- define "collector.refuse.standby" -}}
{{- $database := .Values.database -}}
{{- with $database.standby -}}
{{- if .of -}}
{{- if eq $database.mode "embedded" -}}
database.standby.of needs database.mode existing, which is the server that it follows.
{{- else if and (eq $database.mode "cnpg") .follows -}}
database.mode cnpg writes to a standby, and this one follows: take existing, or promote it
(database.standby.follows: false).
{{- else if not .secret.name -}}
database.standby.of needs database.standby.secret.name, with the certificate that it proves itself by.
{{- else if not $database.existing.secret.name -}}
database.standby.of needs database.existing.secret.name: the user's password stays the same when it is promoted.
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "collector.refuse.cnpg" -}}
{{- if include "collector.withInstances" . -}}
{{- with .Values.database.cnpg -}}
{{- if eq (int .instances) 2 -}}
database.cnpg.instances 2 would refuse every write as soon as one of them is away, since each commit has to be on
two: take 3 or more, or 1 to try it.
{{- else if and .backup.enabled (not .backup.objectStore) -}}
database.cnpg.backup.enabled needs objectStore, the name of the ObjectStore to keep the backups in.
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "collector.refuse.redis" -}}
{{- if eq .Values.redis.mode "existing" -}}
{{- with .Values.redis.existing -}}
{{- if not (or .url .secret.name) -}}
redis.mode existing needs redis.existing.url, or redis.existing.secret.name where the URL bears a password.
{{- else if and .url .secret.name -}}
redis.existing.url and redis.existing.secret.name both say where Redis is: give one of them.
{{- end -}}
{{- end -}}
{{- else if eq .Values.redis.mode "statefulset" -}}
{{- if gt (include "collector.spoolMiB" . | int) (int .Values.redis.statefulset.maxmemoryMiB) -}}
settings.SPOOL_MAX_MIB ({{ include "collector.spoolMiB" . }}) is more than redis.statefulset.maxmemoryMiB ({{ int
.Values.redis.statefulset.maxmemoryMiB }}): Redis would be full before the spool is.
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "collector.refuse.scaling" -}}
{{- with .Values.autoscaling -}}
{{- if gt (int .min) (int .max) -}}
autoscaling.min ({{ int .min }}) is above autoscaling.max ({{ int .max }}).
{{- else if and .keda.enabled (not .enabled) -}}
autoscaling.keda.enabled scales nothing without autoscaling.enabled.
{{- else if and .keda.enabled (not .keda.prometheus) -}}
autoscaling.keda.enabled needs autoscaling.keda.prometheus, the address of the Prometheus to ask.
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "collector.refuse.leaving" -}}
{{- $takes := include "collector.leavingSeconds" . | float64 -}}
{{- with .Values.leaving -}}
{{- if ge $takes (float64 .terminationGracePeriodSeconds) -}}
leaving takes up to {{ $takes }} s (drainSeconds {{ .drainSeconds }} + gracefulSeconds {{ .gracefulSeconds }} + 5
for the last commits), so leaving.terminationGracePeriodSeconds has to be above it, and is
{{ .terminationGracePeriodSeconds }}: what is under way would be killed.
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Takes numbers: whether one of them is below the one before it. */}}
{{- define "collector.falling" -}}
{{- $before := 0 -}}
{{- range . }}{{ if lt (int .) $before }}yes{{ end }}{{ $before = int . }}{{ end -}}
{{- end -}}

{{- define "collector.refuse.delivery" -}}
{{- with .Values.delivery -}}
{{- if include "collector.progressive" $ -}}
{{- if eq $.Values.database.mode "embedded" -}}
delivery.strategy {{ .strategy }} runs two versions beside each other, and database.mode embedded is one file for one
process: give it a PostgreSQL, or take rolling.
{{- else if not (include "collector.withTest" $) -}}
delivery.strategy {{ .strategy }} asks the new version by `collector probe`, which needs a token where tokens are asked
for: test.secret.name.
{{- else if and (eq .strategy "canary") (not $.Values.gateway.enabled) -}}
delivery.strategy canary weighs requests in the HTTPRoute: it needs gateway.enabled.
{{- else if and (eq .strategy "canary") (not .analysis.prometheus) -}}
delivery.strategy canary needs delivery.analysis.prometheus, the address of the Prometheus to judge it by.
{{- else if and (eq .strategy "canary") (include "collector.falling" .canary.weights) -}}
delivery.canary.weights ({{ join ", " .canary.weights }}) have to rise from step to step.
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "collector.refuse.connections" -}}
{{- if include "collector.withPostgres" . -}}
{{- $needs := include "collector.connections" . | int -}}
{{- $has := include "collector.connectionsAllowed" . | int -}}
{{- if gt $needs $has -}}
the collector may hold {{ $needs }} connections and PostgreSQL has {{ $has }} for it (database.connections.max
{{ int .Values.database.connections.max }} - 3 for its superuser - headroom
{{ int .Values.database.connections.headroom }}): raise max, or lower
{{ if include "collector.scaled" . }}autoscaling.max{{ else }}replicas{{ end }} or settings.POSTGRES_POOL_SIZE.
{{- if include "collector.progressive" . }} Under delivery.strategy {{ .Values.delivery.strategy }} those that serve
are there twice for a while.
{{- end }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "collector.refuse.migrations" -}}
{{- if eq .Values.migrations.mode "helmHook" -}}
{{- if eq .Values.database.mode "cnpg" -}}
migrations.mode helmHook runs before anything else of the release is there, its database too: with database.mode
cnpg take job or argoSync.
{{- else if and (eq .Values.database.mode "existing") .Values.database.existing.externalSecret.enabled -}}
migrations.mode helmHook runs before anything else of the release is there, its ExternalSecret too: take job or
argoSync.
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "collector.refuse.gateway" -}}
{{- with .Values.gateway -}}
{{- if and .anonymous $.Values.tokens.secret.name -}}
tokens.secret.name and gateway.anonymous cannot both be so: who has no token stays out.
{{- else if and .enabled (not .anonymous) (not $.Values.tokens.secret.name) -}}
gateway.enabled publishes a collector that asks nobody for a token: name the Secret with those that there are
(tokens.secret.name), or say gateway.anonymous=true if everyone who reaches it may read and write.
{{- else if and .enabled (not .name) -}}
gateway.enabled needs gateway.name, the Gateway to be reached by.
{{- end -}}
{{- end -}}
{{- end -}}
