{{/* Takes a namespace's name: all of its pods. */}}
{{- define "collector.namespace" -}}
- namespaceSelector:
    matchLabels:
      kubernetes.io/metadata.name: {{ . }}
{{- end -}}

{{/* Takes (list . "component"…): those pods of this release. */}}
{{- define "collector.pods" -}}
- podSelector:
    matchLabels:
      app.kubernetes.io/part-of: {{ (first .).Chart.Name }}
      app.kubernetes.io/instance: {{ (first .).Release.Name }}
    matchExpressions:
      - key: app.kubernetes.io/component
        operator: In
        values: {{ rest . | toJson }}
{{- end -}}

{{/* The instances of CloudNativePG's cluster. */}}
{{- define "collector.instances" -}}
- podSelector:
    matchLabels:
      cnpg.io/cluster: {{ include "collector.postgres" . }}
{{- end -}}

{{- define "collector.toDns" -}}
- to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: kube-system
      podSelector:
        matchLabels:
          k8s-app: kube-dns
  ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
{{- end -}}

{{/* Takes (list port peers): that port, of anybody where no peer is named. */}}
{{- define "collector.toPeers" -}}
- ports:
    - {protocol: TCP, port: {{ first . | int }}}
  {{- with last . }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "collector.toDatabase" -}}
{{- if eq .Values.database.mode "cnpg" -}}
- to:
    {{- include "collector.instances" . | nindent 4 }}
  ports:
    - {protocol: TCP, port: 5432}
{{- else if eq .Values.database.mode "existing" -}}
{{ include "collector.toPeers" (list .Values.database.existing.port .Values.networkPolicy.databasePeers) }}
{{- end -}}
{{- end -}}

{{/* The standby that reads go to. */}}
{{- define "collector.toReplica" -}}
{{- if .Values.database.replica.host -}}
{{ include "collector.toPeers" (list .Values.database.replica.port .Values.networkPolicy.replicaPeers) }}
{{- end -}}
{{- end -}}

{{- define "collector.toRedis" -}}
{{- if eq .Values.redis.mode "statefulset" -}}
- to:
    {{- include "collector.pods" (list . "spool") | nindent 4 }}
  ports:
    - {protocol: TCP, port: 6379}
{{- else if eq .Values.redis.mode "existing" -}}
{{ include "collector.toPeers" (list .Values.networkPolicy.redisPort .Values.networkPolicy.redisPeers) }}
{{- end -}}
{{- end -}}
