{{/* Whether Argo Rollouts brings in a new version, and not the Deployment by itself. */}}
{{- define "collector.progressive" -}}
{{ if ne .Values.delivery.strategy "rolling" }}yes{{ end }}
{{- end -}}

{{/* What the pods that serve belong to. */}}
{{- define "collector.workload" -}}
{{- if include "collector.progressive" . -}}
apiVersion: argoproj.io/v1alpha1
kind: Rollout
{{- else -}}
apiVersion: apps/v1
kind: Deployment
{{- end -}}
{{- end -}}

{{/* The label by which pods of one version are told from those of another. */}}
{{- define "collector.hashLabel" -}}
{{ if include "collector.progressive" . }}rollouts-{{ end }}pod-template-hash
{{- end -}}

{{/* What the second Service's name ends with: the one that leads to the new version alone, while there is one. */}}
{{- define "collector.second" -}}
{{- get (dict "canary" "-canary" "blueGreen" "-preview") .Values.delivery.strategy -}}
{{- end -}}

{{/*
Step by step, by the weights of the HTTPRoute; at each step the analysis has to succeed. The pods before stay all the
while (no dynamicStableScale), and those of an aborted version 30 s longer than anybody is sent to them.
*/}}
{{- define "collector.strategy.canary" -}}
canary:
  stableService: {{ include "collector.name" . }}
  canaryService: {{ include "collector.name" . }}{{ include "collector.second" . }}
  scaleDownDelaySeconds: 30
  abortScaleDownDelaySeconds: 30
  trafficRouting:
    plugins:
      argoproj-labs/gatewayAPI:
        httpRoute: {{ include "collector.name" . }}
        namespace: {{ .Release.Namespace }}
  steps:
    {{- range .Values.delivery.canary.weights }}
    - setWeight: {{ . }}
    - analysis:
        templates:
          - templateName: {{ include "collector.name" $ }}-analysis
        args:
          - name: version
            valueFrom:
              podTemplateHashValue: Latest
    {{- end }}
{{- end -}}

{{/* All at once, after the probe; the version before is one change of a selector away for two minutes. */}}
{{- define "collector.strategy.blueGreen" -}}
blueGreen:
  activeService: {{ include "collector.name" . }}
  previewService: {{ include "collector.name" . }}{{ include "collector.second" . }}
  autoPromotionEnabled: {{ .Values.delivery.blueGreen.autoPromotion }}
  scaleDownDelaySeconds: 120
  abortScaleDownDelaySeconds: 30
  prePromotionAnalysis:
    templates:
      - templateName: {{ include "collector.name" . }}-analysis
{{- end -}}
