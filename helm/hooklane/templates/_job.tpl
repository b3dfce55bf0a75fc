{{/* The jobs. Takes: root, component, own, hooks, command. */}}

{{- define "hooklane.job" -}}
apiVersion: batch/v1
kind: Job
metadata:
  {{- include "hooklane.metadata" . | nindent 2 }}
  annotations:
    helm.sh/hook: {{ .hooks }}
    helm.sh/hook-weight: "0"
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
spec:
  backoffLimit: {{ .own.backoffLimit }}
  activeDeadlineSeconds: {{ .own.activeDeadlineSeconds }}
  template:
    metadata:
      labels:
        {{- include "hooklane.podLabels" . | nindent 8 }}
      {{- with (include "hooklane.pod" . | fromJson).annotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      {{- include "hooklane.podCommon" . | nindent 6 }}
      restartPolicy: Never
      containers:
        - name: {{ .component }}
          command:
            {{- toYaml .command | nindent 12 }}
          {{- include "hooklane.container" . | nindent 10 }}
      volumes:
        {{- include "hooklane.volumes" . | trim | nindent 8 }}
{{- end -}}
