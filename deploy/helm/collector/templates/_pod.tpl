{{/* What every pod of the collector's image has, whatever it does. */}}
{{- define "collector.podSecurity" -}}
enableServiceLinks: false
automountServiceAccountToken: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  {{- include "collector.runAs" . | nindent 2 }}
{{- end -}}

{{- define "collector.runAs" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "collector.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{/* Where it runs, as the values say. */}}
{{- define "collector.placement" -}}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The same for what can start elsewhere: by default it would stay on a dead node for over five minutes. */}}
{{- define "collector.placementAnew" -}}
{{- $tolerations := list -}}
{{- range list "not-ready" "unreachable" -}}
{{- $key := printf "node.kubernetes.io/%s" . -}}
{{- $gone := dict "key" $key "operator" "Exists" "effect" "NoExecute" "tolerationSeconds" 30 -}}
{{- $tolerations = append $tolerations $gone -}}
{{- end -}}
{{- $values := pick .Values "nodeSelector" "priorityClassName" -}}
{{- $_ := concat $tolerations .Values.tolerations | set $values "tolerations" -}}
{{- include "collector.placement" (dict "Values" $values) -}}
{{- end -}}

{{/* Takes (list . "component"). Over zones, then over hosts; without the pods that a rollout is replacing. */}}
{{- define "collector.spread" -}}
topologySpreadConstraints:
  {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "collector.selector" $ | nindent 8 }}
    matchLabelKeys: [{{ eq (index $ 1) "collector" | ternary (include "collector.hashLabel" (first $)) "pod-template-hash" }}]
  {{- end }}
{{- end -}}

{{/* The collector answers them before the schema is there: what waits for it is unready, and not restarted. */}}
{{- define "collector.probes" -}}
startupProbe:
  httpGet:
    path: /healthz
    port: http
  periodSeconds: 2
  failureThreshold: 30
livenessProbe:
  httpGet:
    path: /healthz
    port: http
  periodSeconds: 10
  timeoutSeconds: 2
  failureThreshold: 6
readinessProbe:
  httpGet:
    path: /readyz
    port: http
  periodSeconds: 3
  timeoutSeconds: 2
  failureThreshold: 2
{{- end -}}

{{/* Where each part of the disk is seen, and what it is: the root is read-only. */}}
{{- define "collector.tmpMount" -}}
- name: tmp
  mountPath: /tmp
{{- end -}}

{{- define "collector.tmp" -}}
- name: tmp
  emptyDir:
    sizeLimit: 64Mi
{{- end -}}

{{- define "collector.databaseMount" -}}
- name: database
  mountPath: /run/secrets/database
  readOnly: true
{{- end -}}

{{- define "collector.databaseVolume" -}}
{{- $secret := include "collector.databaseSecret" . | fromYaml -}}
- name: database
  secret:
    secretName: {{ $secret.name }}
    defaultMode: 0440
    items:
      - key: {{ $secret.key }}
        path: password
      {{- with $secret.caKey }}
      - key: {{ . }}
        path: ca.crt
      {{- end }}
{{- end -}}

{{- define "collector.mounts" -}}
{{ include "collector.tmpMount" . }}
{{- if include "collector.withPostgres" . }}
{{ include "collector.databaseMount" . }}
{{- end }}
{{- if include "collector.withRedisSecret" . }}
- name: redis
  mountPath: /run/secrets/redis
  readOnly: true
{{- end }}
{{- end -}}

{{- define "collector.volumes" -}}
{{ include "collector.tmp" . }}
{{- if include "collector.withPostgres" . }}
{{ include "collector.databaseVolume" . }}
{{- end }}
{{- if include "collector.withRedisSecret" . }}
- name: redis
  secret:
    secretName: {{ .Values.redis.existing.secret.name }}
    defaultMode: 0440
    items:
      - key: {{ .Values.redis.existing.secret.key }}
        path: url
{{- end }}
{{- end -}}

{{/*
Who may come in, for what serves and nothing else. Without tokens it has to be told that everyone who reaches it may
read and write; gateway.anonymous is where that is said of the outside.
*/}}
{{- define "collector.door" -}}
{{- if .Values.tokens.secret.name -}}
- name: TOKENS_FILE
  value: /run/secrets/tokens/tokens
{{- else -}}
- name: ALLOW_ANONYMOUS
  value: "true"
{{- end }}
{{- if .Values.hooks.secret.name }}
- name: HOOKS_FILE
  value: /run/secrets/hooks/hooks
{{- end }}
{{- end -}}

{{/* As folders: by a subPath a changed Secret would never arrive. */}}
{{- define "collector.doorMounts" -}}
{{- range $what := list "tokens" "hooks" }}
{{- if (get $.Values $what).secret.name }}
- name: {{ $what }}
  mountPath: /run/secrets/{{ $what }}
  readOnly: true
{{- end }}
{{- end }}
{{- end -}}

{{- define "collector.doorVolumes" -}}
{{- range $what := list "tokens" "hooks" }}
{{- with (get $.Values $what).secret }}
{{- if .name }}
- name: {{ $what }}
  secret:
    secretName: {{ .name }}
    defaultMode: 0440
    items:
      - key: {{ .key }}
        path: {{ $what }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Takes (list . port). Whoever scrapes by annotations finds it, and new settings bring new pods. */}}
{{- define "collector.podAnnotations" -}}
checksum/settings: {{ include "collector.settings" (index . 0) | sha256sum }}
prometheus.io/scrape: "true"
prometheus.io/port: {{ index . 1 | quote }}
prometheus.io/path: /metrics
{{- end -}}
