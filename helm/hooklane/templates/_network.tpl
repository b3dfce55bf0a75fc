{{/* Rules of NetworkPolicies. */}}

{{/* DNS, and the brokers. */}}
{{- define "hooklane.egressToKafka" -}}
{{- with .Values.networkPolicy }}
- ports:
    {{- range .dns.ports }}
    - {port: {{ . }}, protocol: UDP}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
  to:
    {{- if kindIs "invalid" .dns.to }}
    - namespaceSelector: {}
    # The node-local resolver listens here, outside of every pod network.
    - ipBlock: {cidr: 169.254.20.10/32}
    {{- else }}
    {{- toYaml .dns.to | nindent 4 }}
    {{- end }}
- ports:
    {{- range include "hooklane.kafkaPorts" $ | fromJsonArray }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
  {{- with .kafka.to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- with .extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "hooklane.kafkaPorts" -}}
{{- $ports := .Values.networkPolicy.kafka.ports -}}
{{- if not $ports -}}
{{- range splitList "," .Values.settings.kafka.bootstrap_servers -}}
{{- $ports = append $ports (regexFind "[0-9]+$" (trim .) | int) -}}
{{- end -}}
{{- end -}}
{{- $ports | uniq | toJson -}}
{{- end -}}

{{/* The internet without private networks, and what the address guard is told to allow. */}}
{{- define "hooklane.egressToReceivers" -}}
{{- with .Values.networkPolicy.deliveries }}
- to:
    - ipBlock:
        cidr: 0.0.0.0/0
        {{- with .except }}
        except:
          {{- toYaml . | nindent 10 }}
        {{- end }}
    {{- if not (kindIs "invalid" .exceptV6) }}
    - ipBlock:
        cidr: ::/0
        {{- with .exceptV6 }}
        except:
          {{- toYaml . | nindent 10 }}
        {{- end }}
    {{- end }}
    {{- range dig "delivery" "allow_networks" (list) $.Values.settings }}
    - ipBlock: {cidr: {{ . | quote }}}
    {{- end }}
  {{- with .ports }}
  ports:
    {{- range . }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
  {{- end }}
{{- end }}
{{- end -}}
