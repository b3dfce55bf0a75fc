{{/* From values to HOOKLANE_… in the environment. */}}

{{/* Kafka's credentials of a component, as JSON. Takes: root, own (the component's values). */}}
{{- define "hooklane.kafka" -}}
{{- $kafka := include "hooklane.over" (list .root.Values.kafka (.own.kafka | default dict)) | fromJson -}}
{{- with $kafka.sasl -}}
{{- if and .mechanism (not .existingSecret) -}}
{{- fail "kafka.sasl.existingSecret is missing: name the Secret with Kafka's user and password." -}}
{{- end -}}
{{- if and (eq .mechanism "OAUTHBEARER") (not .oauthbearer.tokenEndpoint) -}}
{{- fail "kafka.sasl.oauthbearer.tokenEndpoint is missing: OAUTHBEARER needs it." -}}
{{- end -}}
{{- end -}}
{{- if and $kafka.tls.certificate.existingSecret (not $kafka.tls.enabled) -}}
{{- fail "kafka.tls.certificate is set, but not kafka.tls.enabled." -}}
{{- end -}}
{{- toJson $kafka -}}
{{- end -}}

{{/* librdkafka's properties that follow from the credentials, as JSON; none of them is a secret. */}}
{{- define "hooklane.kafkaProperties" -}}
{{- $sasl := .sasl.mechanism -}}
{{- $found := dict -}}
{{- if and $sasl .tls.enabled -}}
{{- $_ := set $found "security.protocol" "sasl_ssl" -}}
{{- else if $sasl -}}
{{- $_ := set $found "security.protocol" "sasl_plaintext" -}}
{{- else if .tls.enabled -}}
{{- $_ := set $found "security.protocol" "ssl" -}}
{{- end -}}
{{- if $sasl -}}
{{- $_ := set $found "sasl.mechanism" $sasl -}}
{{- end -}}
{{- with .sasl.username -}}
{{- $_ := set $found (ternary "sasl.oauthbearer.client.id" "sasl.username" (eq $sasl "OAUTHBEARER")) . -}}
{{- end -}}
{{- if eq $sasl "OAUTHBEARER" -}}
{{- $_ := set $found "sasl.oauthbearer.method" "oidc" -}}
{{- $_ := set $found "sasl.oauthbearer.token.endpoint.url" .sasl.oauthbearer.tokenEndpoint -}}
{{- with .sasl.oauthbearer.scope -}}
{{- $_ := set $found "sasl.oauthbearer.scope" . -}}
{{- end -}}
{{- end -}}
{{- with .tls.ca.existingSecret -}}
{{- $_ := set $found "ssl.ca.location" "/etc/hooklane/kafka-tls/ca.crt" -}}
{{- end -}}
{{- with .tls.certificate.existingSecret -}}
{{- $_ := set $found "ssl.certificate.location" "/etc/hooklane/kafka-tls/tls.crt" -}}
{{- $_ := set $found "ssl.key.location" "/etc/hooklane/kafka-tls/tls.key" -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{/* Whether a component has properties that are files of a Secret. */}}
{{- define "hooklane.hasPropertyFiles" -}}
{{- if or .sasl.mechanism (and .tls.certificate.existingSecret .tls.certificate.passphraseKey) -}}yes{{- end -}}
{{- end -}}

{{/* All settings of a component, as JSON. Takes: root, component, own. */}}
{{- define "hooklane.settings" -}}
{{- $values := .root.Values -}}
{{- $settings := include "hooklane.over" (list $values.settings (.own.settings | default dict)) | fromJson -}}
{{- $kafka := include "hooklane.kafka" . | fromJson -}}
{{- $told := $settings.kafka | default dict -}}
{{- if not $told.bootstrap_servers -}}
{{- fail "settings.kafka.bootstrap_servers is missing: name the brokers, such as kafka:9092." -}}
{{- end -}}
{{- $properties := merge (include "hooklane.kafkaProperties" $kafka | fromJson) ($told.properties | default dict) -}}
{{- if $properties -}}
{{- $_ := set $told "properties" $properties -}}
{{- end -}}
{{- if include "hooklane.hasPropertyFiles" $kafka -}}
{{- $_ := set $told "properties_dir" "/etc/hooklane/kafka-properties" -}}
{{- end -}}
{{- $service := has .component (list "fanout" "retrier") -}}
{{- if $service -}}
{{- if not (dig "fanout" "topics" (list) $settings) -}}
{{- fail "settings.fanout.topics is missing: name the event topics, such as [orders.events]." -}}
{{- end -}}
{{- $_ := unset $settings (ternary "retrier" "fanout" (eq .component "fanout")) -}}
{{- $secrets := $settings.secrets | default dict -}}
{{- if $values.secrets.files -}}
{{- $_ := set $secrets "dir" "/etc/hooklane/secrets" -}}
{{- end -}}
{{- if $values.secrets.encryptionKeys.existingSecret -}}
{{- $_ := set $secrets "encryption_keys_file" "/etc/hooklane/encryption-keys/keys" -}}
{{- end -}}
{{- $_ := set $settings "secrets" $secrets -}}
{{- if or $values.receivers.ca.existingSecret $values.receivers.ca.existingConfigMap -}}
{{- $delivery := $settings.delivery | default dict -}}
{{- $_ := set $delivery "ca_file" "/etc/hooklane/receivers-ca/ca.crt" -}}
{{- $_ := set $settings "delivery" $delivery -}}
{{- end -}}
{{- end -}}
{{- if eq .component "console" -}}
{{- $_ := set $settings "console" (include "hooklane.consoleSettings" (merge (dict "settings" $settings) .) | fromJson) -}}
{{- end -}}
{{- if eq .component "retrier" -}}
{{- $_ := set $settings "retrier" (merge (dict "spool_dir" "/var/lib/hooklane/spool") ($settings.retrier | default dict)) -}}
{{- end -}}
{{- toJson $settings -}}
{{- end -}}

{{/* A setting's value as the environment has it. Numbers are floats here: 1e+06 would be refused. */}}
{{- define "hooklane.text" -}}
{{- if or (kindIs "map" .) (kindIs "slice" .) -}}
{{- toJson . -}}
{{- else if and (kindIs "float64" .) (eq (floor .) .) -}}
{{- printf "%.0f" . -}}
{{- else -}}
{{- toString . -}}
{{- end -}}
{{- end -}}

{{/* The environment of a component's container. Takes: root, component, own. */}}
{{- define "hooklane.env" -}}
{{- $service := has .component (list "fanout" "retrier") -}}
{{- if $service }}
- name: HOOKLANE_KAFKA__INSTANCE_ID
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
{{- end }}
{{- range $section, $names := include "hooklane.settings" . | fromJson }}
{{- range $name, $value := $names }}
{{- if not (kindIs "invalid" $value) }}
- name: HOOKLANE_{{ upper $section }}__{{ upper $name }}
  value: {{ include "hooklane.text" $value | replace "$(" "$$(" | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- if $service }}
{{- range .root.Values.secrets.env }}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ .existingSecret }}
      key: {{ .key }}
{{- end }}
{{- end }}
{{- if and (eq .component "console") .own.token.existingSecret }}
- name: HOOKLANE_CONSOLE__TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ .own.token.existingSecret }}
      key: {{ .own.token.key }}
{{- end }}
{{- if include "hooklane.sendsTestEvent" .root }}
{{- if or $service (eq .component "test") }}
- name: {{ ternary "HOOKLANE_SECRET_HELM_TEST" "HOOKLANE_LISTEN_SECRET" $service }}
  valueFrom:
    secretKeyRef:
      name: {{ .root.Values.test.signing.existingSecret }}
      key: {{ .root.Values.test.signing.key }}
{{- end }}
{{- end }}
{{- with (include "hooklane.pod" . | fromJson).extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Whether `helm test` sends an event; says what is missing for it. */}}
{{- define "hooklane.sendsTestEvent" -}}
{{- if and .Values.test.enabled .Values.test.topic -}}
{{- if not .Values.test.signing.existingSecret -}}
{{- fail "test.signing.existingSecret is missing: name the Secret with the signing secret of the test." -}}
{{- end -}}
{{- $delivery := .Values.settings.delivery | default dict -}}
{{- if and (not .Values.test.url) (not (and $delivery.allow_http $delivery.allow_networks)) -}}
{{- fail "test.url is missing: the services refuse http:// and private addresses, so name an https:// URL that leads to the test's Service, or set settings.delivery.allow_http and allow_networks." -}}
{{- end -}}
yes
{{- end -}}
{{- end -}}
