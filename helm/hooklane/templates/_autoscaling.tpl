{{/* What sets the number of pods. Takes: root, component, own. */}}

{{- define "hooklane.hpa" -}}
{{- $scaling := .own.autoscaling -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "hooklane.metadata" . | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: StatefulSet
    name: {{ include "hooklane.serviceName" . }}
  minReplicas: {{ $scaling.minReplicas }}
  maxReplicas: {{ $scaling.maxReplicas }}
  {{- with $scaling.behavior }}
  behavior:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  metrics:
    {{- if eq .component "retrier" }}
    - type: Pods
      pods:
        metric:
          name: {{ $scaling.hpa.metric }}
        target:
          type: AverageValue
          averageValue: {{ $scaling.dueTasks | int | quote }}
    {{- else if $scaling.hpa.targetCpuUtilization }}
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ $scaling.hpa.targetCpuUtilization | int }}
    {{- else if not $scaling.hpa.metrics }}
    {{- fail "fanout.autoscaling.hpa has no metric: set targetCpuUtilization or metrics." }}
    {{- end }}
    {{- with $scaling.hpa.metrics }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{- define "hooklane.keda" -}}
{{- $scaling := .own.autoscaling -}}
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  {{- include "hooklane.metadata" . | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: StatefulSet
    name: {{ include "hooklane.serviceName" . }}
  pollingInterval: {{ $scaling.keda.pollingInterval }}
  minReplicaCount: {{ $scaling.minReplicas }}
  maxReplicaCount: {{ $scaling.maxReplicas }}
  {{- with $scaling.behavior }}
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        {{- toYaml . | nindent 8 }}
  {{- end }}
  triggers:
    {{- include (printf "hooklane.keda.%s" .component) . | trim | nindent 4 }}
    {{- with $scaling.keda.triggers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- if include "hooklane.keda.makesAuthentication" . }}
---
{{ include "hooklane.keda.authentication" . }}
{{- end }}
{{- end -}}

{{/* The lag of the group, by topic: KEDA bounds the pods by the partitions that lag, and one whose
offset stands still (a receiver that hangs) does not add any. */}}
{{- define "hooklane.keda.fanout" -}}
{{- $settings := include "hooklane.settings" . | fromJson -}}
{{- $kafka := include "hooklane.kafka" . | fromJson -}}
{{- $keda := .own.autoscaling.keda -}}
{{- $topics := $keda.topics -}}
{{- if not $topics -}}
{{- range $settings.fanout.topics -}}
{{- if not (hasPrefix "^" .) -}}
{{- $topics = append $topics . -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not $topics -}}
{{- fail "fanout.autoscaling.keda.topics is missing: settings.fanout.topics has patterns only, and KEDA needs names." -}}
{{- end -}}
{{- $reference := $keda.authenticationRef -}}
{{- if include "hooklane.keda.makesAuthentication" . -}}
{{- $reference = include "hooklane.serviceName" . -}}
{{- end -}}
{{- range $topics }}
- type: kafka
  metadata:
    bootstrapServers: {{ $settings.kafka.bootstrap_servers | quote }}
    consumerGroup: {{ dig "fanout" "group_id" "hooklane-fanout" $settings }}
    topic: {{ . }}
    lagThreshold: {{ $keda.lagThreshold | int | quote }}
    offsetResetPolicy: earliest
    limitToPartitionsWithLag: "true"
    excludePersistentLag: "true"
    {{- with $kafka.sasl.mechanism }}
    sasl: {{ get (dict "PLAIN" "plaintext" "SCRAM-SHA-256" "scram_sha256" "SCRAM-SHA-512" "scram_sha512" "OAUTHBEARER" "oauthbearer") . }}
    {{- end }}
    {{- if $kafka.tls.enabled }}
    tls: enable
    {{- end }}
  {{- with $reference }}
  authenticationRef:
    name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "hooklane.keda.retrier" -}}
{{- $scaling := .own.autoscaling -}}
{{- if not $scaling.keda.prometheus -}}
{{- fail "retrier.autoscaling.keda.prometheus is missing: KEDA asks Prometheus for what is due." -}}
{{- end -}}
{{- $query := printf "sum(hooklane_backlog_due_tasks{namespace=%q,pod=~\"%s-[0-9]+\"})" .root.Release.Namespace (include "hooklane.serviceName" .) -}}
- type: prometheus
  metadata:
    serverAddress: {{ $scaling.keda.prometheus | quote }}
    query: {{ default $query $scaling.keda.query | squote }}
    threshold: {{ $scaling.dueTasks | int | quote }}
  {{- with $scaling.keda.authenticationRef }}
  authenticationRef:
    name: {{ . }}
  {{- end }}
{{- end -}}

{{- define "hooklane.keda.makesAuthentication" -}}
{{- $kafka := include "hooklane.kafka" . | fromJson -}}
{{- if and (eq .component "fanout") (not .own.autoscaling.keda.authenticationRef) -}}
{{- if eq $kafka.sasl.mechanism "OAUTHBEARER" -}}
{{- fail "fanout.autoscaling.keda.authenticationRef is missing: for OAUTHBEARER, KEDA wants a TriggerAuthentication with the scopes and the token endpoint in it, which is yours to make." -}}
{{- end -}}
{{- if and $kafka.sasl.mechanism $kafka.sasl.username -}}
{{- fail "fanout.autoscaling.keda.authenticationRef is missing: KEDA takes the user's name from a Secret, and kafka.sasl.username is not in one." -}}
{{- end -}}
{{- if or $kafka.sasl.mechanism (and $kafka.tls.enabled (or $kafka.tls.ca.existingSecret $kafka.tls.certificate.existingSecret)) -}}yes{{- end -}}
{{- end -}}
{{- end -}}

{{- define "hooklane.keda.authentication" -}}
{{- $kafka := include "hooklane.kafka" . | fromJson -}}
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata:
  {{- include "hooklane.metadata" . | nindent 2 }}
spec:
  secretTargetRef:
    {{- with $kafka.sasl }}
    {{- if .mechanism }}
    - parameter: username
      name: {{ .existingSecret }}
      key: {{ .usernameKey }}
    - parameter: password
      name: {{ .existingSecret }}
      key: {{ .passwordKey }}
    {{- end }}
    {{- end }}
    {{- with $kafka.tls.ca }}
    {{- if .existingSecret }}
    - parameter: ca
      name: {{ .existingSecret }}
      key: {{ .key }}
    {{- end }}
    {{- end }}
    {{- with $kafka.tls.certificate }}
    {{- if .existingSecret }}
    - parameter: cert
      name: {{ .existingSecret }}
      key: {{ .certificateKey }}
    - parameter: key
      name: {{ .existingSecret }}
      key: {{ .privateKeyKey }}
    {{- if .passphraseKey }}
    - parameter: keyPassword
      name: {{ .existingSecret }}
      key: {{ .passphraseKey }}
    {{- end }}
    {{- end }}
    {{- end }}
{{- end -}}
