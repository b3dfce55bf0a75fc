{{/* A service: its StatefulSet, headless Service, PodDisruptionBudget and autoscaling.
Takes: root, component, own. */}}

{{- define "hooklane.serviceName" -}}
{{- printf "%s-%s" (include "hooklane.fullname" .root) .component -}}
{{- end -}}

{{- define "hooklane.metadata" -}}
name: {{ include "hooklane.serviceName" . }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "hooklane.labels" . | nindent 2 }}
{{- end -}}

{{- define "hooklane.componentSelector" -}}
{{- include "hooklane.selector" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "hooklane.httpPort" -}}
{{- $port := dig "http" "port" 8080 (include "hooklane.settings" . | fromJson) | int -}}
{{- if not $port -}}
{{- fail "settings.http.port must not be 0: the probes have to know it." -}}
{{- end -}}
{{- $port -}}
{{- end -}}

{{/* The drain, a transaction (two thirds of the session timeout) and ten seconds. */}}
{{- define "hooklane.terminationGrace" -}}
{{- $settings := include "hooklane.settings" . | fromJson -}}
{{- $drain := include "hooklane.seconds" (dig .component "shutdown_grace" "25s" $settings) | int -}}
{{- $session := include "hooklane.seconds" (dig "kafka" "session_timeout" "10s" $settings) | int -}}
{{- add $drain (div (add (mul $session 2) 2) 3) 10 -}}
{{- end -}}

{{- define "hooklane.statefulSet" -}}
apiVersion: apps/v1
kind: StatefulSet
metadata:
  {{- include "hooklane.metadata" . | nindent 2 }}
spec:
  serviceName: {{ include "hooklane.serviceName" . }}
  {{- if not .own.autoscaling.enabled }}
  replicas: {{ .own.replicas }}
  {{- end }}
  # All start at once; an upgrade still takes one pod after the other, when the one before is ready.
  podManagementPolicy: Parallel
  updateStrategy:
    type: RollingUpdate
  selector:
    matchLabels:
      {{- include "hooklane.componentSelector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "hooklane.podLabels" . | nindent 8 }}
      {{- with include "hooklane.podAnnotations" . }}
      annotations:
        {{- . | nindent 8 }}
      {{- end }}
    spec:
      {{- include "hooklane.podCommon" . | nindent 6 }}
      terminationGracePeriodSeconds: {{ include "hooklane.terminationGrace" . }}
      {{- $spread := .own.topologySpreadConstraints }}
      {{- if kindIs "invalid" $spread }}
      topologySpreadConstraints:
        {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
        - maxSkew: 1
          topologyKey: {{ . }}
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "hooklane.componentSelector" $ | nindent 14 }}
        {{- end }}
      {{- else if $spread }}
      topologySpreadConstraints:
        {{- toYaml $spread | nindent 8 }}
      {{- end }}
      {{- with .own.initContainers }}
      initContainers:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      containers:
        - name: {{ .component }}
          command: [hooklane, {{ .component }}]
          {{- include "hooklane.container" . | nindent 10 }}
          ports:
            - name: http
              containerPort: {{ include "hooklane.httpPort" . }}
          startupProbe:
            httpGet: {path: /healthz, port: http}
            {{- toYaml .own.probes.startup | nindent 12 }}
          livenessProbe:
            httpGet: {path: /healthz, port: http}
            {{- toYaml .own.probes.liveness | nindent 12 }}
          readinessProbe:
            httpGet: {path: /readyz, port: http}
            {{- toYaml .own.probes.readiness | nindent 12 }}
        {{- with .own.extraContainers }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      volumes:
        {{- include "hooklane.volumes" . | trim | nindent 8 }}
  {{- if and (eq .component "retrier") .own.spool.persistence }}
  {{- with .own.spool }}
  persistentVolumeClaimRetentionPolicy:
    whenDeleted: {{ .retention }}
    whenScaled: {{ .retention }}
  volumeClaimTemplates:
    - metadata:
        name: spool
        # What is written here can never be changed: no version, and nothing of the values.
        labels:
          {{- include "hooklane.selector" $.root | nindent 10 }}
      spec:
        accessModes:
          {{- toYaml .accessModes | nindent 10 }}
        {{- with .storageClass }}
        storageClassName: {{ . }}
        {{- end }}
        resources:
          requests:
            storage: {{ .size }}
  {{- end }}
  {{- end }}
{{- end -}}

{{- define "hooklane.headless" -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "hooklane.metadata" . | nindent 2 }}
spec:
  clusterIP: None
  # Metrics are read, and the test asks, also while a pod is not ready.
  publishNotReadyAddresses: true
  selector:
    {{- include "hooklane.componentSelector" . | nindent 4 }}
  ports:
    - name: http
      port: {{ include "hooklane.httpPort" . }}
      targetPort: http
{{- end -}}

{{- define "hooklane.disruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "hooklane.metadata" . | nindent 2 }}
spec:
  maxUnavailable: {{ .own.podDisruptionBudget.maxUnavailable }}
  # A pod that is not ready keeps nothing going, so it may go.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "hooklane.componentSelector" . | nindent 6 }}
{{- end -}}

{{- define "hooklane.service" -}}
---
{{ include "hooklane.statefulSet" . }}
---
{{ include "hooklane.headless" . }}
{{- if .own.podDisruptionBudget.enabled }}
---
{{ include "hooklane.disruptionBudget" . }}
{{- end }}
{{- if .own.autoscaling.enabled }}
---
{{ include (printf "hooklane.%s" .own.autoscaling.kind) . }}
{{- end }}
{{- end -}}
