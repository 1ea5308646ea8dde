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

{{/* Where it runs. The default of 300 s would leave a dead node's pods there for over five minutes. */}}
{{- define "collector.placement" -}}
tolerations:
  {{- range $what := list "not-ready" "unreachable" }}
  - key: node.kubernetes.io/{{ $what }}
    operator: Exists
    effect: NoExecute
    tolerationSeconds: 30
  {{- end }}
  {{- with .Values.tolerations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
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
    matchLabelKeys: [pod-template-hash]
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

{{/* Takes (list . port). Whoever scrapes by annotations finds it, and new settings bring new pods. */}}
{{- define "collector.podAnnotations" -}}
checksum/settings: {{ include "collector.settings" (index . 0) | sha256sum }}
prometheus.io/scrape: "true"
prometheus.io/port: {{ index . 1 | quote }}
prometheus.io/path: /metrics
{{- end -}}
