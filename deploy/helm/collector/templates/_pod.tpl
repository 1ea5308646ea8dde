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
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
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

{{/* Takes (list . "component"). Over zones, then over hosts; each ReplicaSet for itself, or a rollout would count the old. */}}
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

{{- define "collector.mounts" -}}
- name: tmp
  mountPath: /tmp
{{- if include "collector.withPostgres" . }}
- name: database
  mountPath: /run/secrets/database
  readOnly: true
{{- end }}
{{- if and (eq .Values.redis.mode "existing") .Values.redis.existing.secret.name }}
- name: redis
  mountPath: /run/secrets/redis
  readOnly: true
{{- end }}
{{- end -}}

{{- define "collector.volumes" -}}
- name: tmp
  emptyDir:
    sizeLimit: 64Mi
{{- if include "collector.withPostgres" . }}
{{- $secret := include "collector.databaseSecret" . | fromYaml }}
- name: database
  secret:
    secretName: {{ $secret.name }}
    defaultMode: 0440
    items:
      - key: {{ $secret.key }}
        path: password
{{- end }}
{{- if and (eq .Values.redis.mode "existing") .Values.redis.existing.secret.name }}
- name: redis
  secret:
    secretName: {{ .Values.redis.existing.secret.name }}
    defaultMode: 0440
    items:
      - key: {{ .Values.redis.existing.secret.key }}
        path: url
{{- end }}
{{- end -}}

{{/* Takes (list . "component" port). So that whoever scrapes by annotations finds it, and new settings bring new pods. */}}
{{- define "collector.podAnnotations" -}}
checksum/settings: {{ include "collector.settings" (index . 0) | sha256sum }}
prometheus.io/scrape: "true"
prometheus.io/port: {{ index . 1 | quote }}
prometheus.io/path: /metrics
{{- end -}}
