{{/* The console: a Deployment, its Service, and an Ingress where one is wanted. */}}

{{- define "hooklane.consolePort" -}}
{{- $port := dig "console" "port" 8085 (include "hooklane.settings" . | fromJson) | int -}}
{{- if not $port -}}
{{- fail "settings.console.port must not be 0: the Service has to know it." -}}
{{- end -}}
{{- $port -}}
{{- end -}}

{{/* What the chart knows of the console's settings; those of the values come before it. Takes:
root, component, own, settings. As JSON. */}}
{{- define "hooklane.consoleSettings" -}}
{{- $told := .settings.console | default dict -}}
{{- if and (not .own.token.existingSecret) (not $told.user_header) -}}
{{- fail "console.token.existingSecret is missing: name the Secret with the token that lets people in, or set settings.console.user_header where an authenticating proxy does." -}}
{{- end -}}
{{- $services := list -}}
{{- range $name := list "fanout" "retrier" -}}
{{- $service := index $.root.Values $name -}}
{{- $full := printf "%s-%s" (include "hooklane.fullname" $.root) $name -}}
{{- $port := include "hooklane.httpPort" (dict "root" $.root "component" $name "own" $service) -}}
{{- range $at := until (ternary $service.autoscaling.minReplicas $service.replicas $service.autoscaling.enabled | int) -}}
{{- $services = append $services (printf "http://%s-%d.%s.%s.svc:%s" $full $at $full $.root.Release.Namespace $port) -}}
{{- end -}}
{{- end -}}
{{- $known := dict "host" "0.0.0.0" "services" $services -}}
{{- with .own.ingress -}}
{{- if .enabled -}}
{{- if not .host -}}
{{- fail "console.ingress.host is missing: name the host by which browsers reach the console." -}}
{{- end -}}
{{- $_ := set $known "public_url" (printf "%s://%s" (ternary "https" "http" (ne .tlsSecret "")) .host) -}}
{{- end -}}
{{- end -}}
{{- include "hooklane.over" (list $known $told) -}}
{{- end -}}

{{- define "hooklane.consoleDeployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "hooklane.metadata" . | nindent 2 }}
spec:
  # Redrives that a page began, and what is kept at hand, are one process'.
  replicas: 1
  strategy:
    type: Recreate
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
      containers:
        - name: {{ .component }}
          command: [hooklane, {{ .component }}]
          {{- include "hooklane.container" . | nindent 10 }}
          ports:
            - name: console
              containerPort: {{ include "hooklane.consolePort" . }}
          startupProbe:
            httpGet: {path: /healthz, port: console}
            {{- toYaml .own.probes.startup | nindent 12 }}
          livenessProbe:
            httpGet: {path: /healthz, port: console}
            {{- toYaml .own.probes.liveness | nindent 12 }}
          readinessProbe:
            httpGet: {path: /readyz, port: console}
            {{- toYaml .own.probes.readiness | nindent 12 }}
        {{- with .own.extraContainers }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      volumes:
        {{- include "hooklane.volumes" . | trim | nindent 8 }}
{{- end -}}

{{- define "hooklane.consoleService" -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "hooklane.metadata" . | nindent 2 }}
  {{- with .own.service.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ .own.service.type }}
  selector:
    {{- include "hooklane.componentSelector" . | nindent 4 }}
  ports:
    - name: http
      port: {{ .own.service.port }}
      targetPort: {{ .own.service.targetPort }}
{{- end -}}

{{- define "hooklane.consoleIngress" -}}
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  {{- include "hooklane.metadata" . | nindent 2 }}
  {{- with .own.ingress.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- with .own.ingress.className }}
  ingressClassName: {{ . }}
  {{- end }}
  {{- with .own.ingress.tlsSecret }}
  tls:
    - hosts: [{{ $.own.ingress.host | quote }}]
      secretName: {{ . }}
  {{- end }}
  rules:
    - host: {{ .own.ingress.host | quote }}
      http:
        paths:
          - path: /
            pathType: Prefix
            backend:
              service:
                name: {{ include "hooklane.serviceName" . }}
                port: {name: http}
{{- end -}}

{{/* Who may come in, and the services whose metrics it reads; Kafka and DNS are everybody's. */}}
{{- define "hooklane.consolePolicy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "hooklane.metadata" . | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "hooklane.componentSelector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    - ports:
        - {port: {{ .own.service.targetPort }}, protocol: TCP}
      {{- with .root.Values.networkPolicy.consoleFrom }}
      from:
        {{- toYaml . | nindent 8 }}
      {{- end }}
  egress:
    - to:
        - podSelector:
            matchLabels:
              {{- include "hooklane.selector" .root | nindent 14 }}
{{- end -}}
