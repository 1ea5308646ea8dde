{{/* Takes (list . URL rate seconds). A Job's spec: the ledger probe against this URL, once. */}}
{{- define "collector.probeJob" -}}
{{- $ := index . 0 -}}
{{- $seconds := int (index . 3) -}}
backoffLimit: 0
activeDeadlineSeconds: {{ add $seconds 120 }}
template:
  metadata:
    labels:
      {{- include "collector.podLabels" (list $ "probe") | nindent 6 }}
  spec:
    restartPolicy: Never
    {{- include "collector.podSecurity" $ | nindent 4 }}
    {{- with include "collector.placement" $ | trim }}
    {{- . | nindent 4 }}
    {{- end }}
    containers:
      - name: probe
        image: {{ include "collector.image" $ }}
        imagePullPolicy: {{ $.Values.image.pullPolicy }}
        # It sends, reads everything back, and judges: what was acknowledged has to be there, once.
        args:
          - probe
          - {{ index . 1 }}
          - --rate
          - {{ index . 2 | quote }}
          - --for
          - {{ $seconds }}s
        {{- include "collector.asking" (list $ $.Values.test.secret) | nindent 8 }}
    {{- include "collector.askingVolumes" (list $ $.Values.test.secret) | nindent 4 }}
{{- end -}}

{{/* Takes (list . secret). Of a container that asks the collector, with the token of that Secret if it names one. */}}
{{- define "collector.asking" -}}
{{- $ := index . 0 -}}
{{- $named := (index . 1).name -}}
{{- if $named -}}
env:
  - name: COLLECTOR_TOKEN_FILE
    value: /run/secrets/probe/token
{{ end -}}
resources:
  {{- toYaml $.Values.migrations.resources | nindent 2 }}
{{- include "collector.containerSecurity" $ | nindent 0 }}
volumeMounts:
  {{- include "collector.tmpMount" $ | nindent 2 }}
  {{- if $named }}
  - name: probe
    mountPath: /run/secrets/probe
    readOnly: true
  {{- end }}
{{- end -}}

{{/* Takes the same. */}}
{{- define "collector.askingVolumes" -}}
volumes:
  {{- include "collector.tmp" (index . 0) | nindent 2 }}
  {{- with index . 1 }}
  {{- if .name }}
  - name: probe
    secret:
      secretName: {{ .name }}
      defaultMode: 0440
      items:
        - key: {{ .key }}
          path: token
  {{- end }}
  {{- end }}
{{- end -}}
