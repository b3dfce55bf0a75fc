{{/* What all pods have in common. Each takes: root, component, own (the component's values). */}}

{{/* `pod` with the component's over it, as JSON. */}}
{{- define "hooklane.pod" -}}
{{- include "hooklane.over" (list .root.Values.pod (.own.pod | default dict)) -}}
{{- end -}}

{{- define "hooklane.podLabels" -}}
{{- $own := merge (include "hooklane.selector" .root | fromYaml) (dict "app.kubernetes.io/component" .component) -}}
{{- $pod := include "hooklane.pod" . | fromJson -}}
{{- toYaml (merge $own ($pod.labels | default dict) .root.Values.commonLabels) -}}
{{- end -}}

{{/* Secrets that were changed roll the pods at the next upgrade: their versions, not their content. */}}
{{- define "hooklane.podAnnotations" -}}
{{- $pod := include "hooklane.pod" . | fromJson -}}
{{- $found := $pod.annotations | default dict -}}
{{- $versions := list -}}
{{- range include "hooklane.secretNames" . | fromJsonArray | uniq | sortAlpha -}}
{{- $secret := lookup "v1" "Secret" $.root.Release.Namespace . -}}
{{- if $secret -}}
{{- $versions = append $versions (printf "%s:%s" . $secret.metadata.resourceVersion) -}}
{{- end -}}
{{- end -}}
{{- if $versions -}}
{{- $_ := set $found "checksum/secrets" (join "," $versions | sha256sum) -}}
{{- end -}}
{{- with $found -}}
{{- toYaml . -}}
{{- end -}}
{{- end -}}

{{/* The Secrets of a pod that it has to be started anew for; files that are read again are not. */}}
{{- define "hooklane.secretNames" -}}
{{- $kafka := include "hooklane.kafka" . | fromJson -}}
{{- $values := .root.Values -}}
{{- $names := list (ternary $kafka.sasl.existingSecret "" (ne $kafka.sasl.mechanism "")) $kafka.tls.ca.existingSecret $kafka.tls.certificate.existingSecret -}}
{{- if eq .component "console" -}}
{{- $names = append $names .own.token.existingSecret -}}
{{- else -}}
{{- range $values.secrets.env -}}
{{- $names = append $names .existingSecret -}}
{{- end -}}
{{- if include "hooklane.sendsTestEvent" .root -}}
{{- $names = append $names $values.test.signing.existingSecret -}}
{{- end -}}
{{- end -}}
{{- $names = without $names "" -}}
{{- toJson $names -}}
{{- end -}}

{{- define "hooklane.podCommon" -}}
{{- $pod := include "hooklane.pod" . | fromJson -}}
{{- $global := .root.Values.global | default dict -}}
serviceAccountName: {{ ternary "default" (include "hooklane.serviceAccount" .root) (and (eq .component "topics") .root.Values.serviceAccount.create) }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with concat ($global.imagePullSecrets | default list) .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ if kindIs "map" . }}{{ .name }}{{ else }}{{ . }}{{ end }}
  {{- end }}
{{- end }}
{{- with $pod.securityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- range $name := list "priorityClassName" "runtimeClassName" "nodeSelector" "tolerations" "affinity" "dnsConfig" "hostAliases" }}
{{- with index $pod $name }}
{{ toYaml (dict $name .) }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The container's image, context, environment and mounts. */}}
{{- define "hooklane.container" -}}
{{- $pod := include "hooklane.pod" . | fromJson -}}
image: {{ include "hooklane.image" .root | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
{{- with $pod.containerSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
env:
  {{- include "hooklane.env" . | trim | nindent 2 }}
{{- with $pod.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .own.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  {{- include "hooklane.mounts" . | trim | nindent 2 }}
{{- end -}}

{{- define "hooklane.mounts" -}}
{{- $kafka := include "hooklane.kafka" . | fromJson -}}
{{- $values := .root.Values -}}
- name: tmp
  mountPath: /tmp
{{- if include "hooklane.hasPropertyFiles" $kafka }}
- name: kafka-properties
  mountPath: /etc/hooklane/kafka-properties
  readOnly: true
{{- end }}
{{- if or $kafka.tls.ca.existingSecret $kafka.tls.certificate.existingSecret }}
- name: kafka-tls
  mountPath: /etc/hooklane/kafka-tls
  readOnly: true
{{- end }}
{{- if has .component (list "fanout" "retrier") }}
{{- if $values.secrets.files }}
- name: secrets
  mountPath: /etc/hooklane/secrets
  readOnly: true
{{- end }}
{{- if $values.secrets.encryptionKeys.existingSecret }}
- name: encryption-keys
  mountPath: /etc/hooklane/encryption-keys
  readOnly: true
{{- end }}
{{- if or $values.receivers.ca.existingSecret $values.receivers.ca.existingConfigMap }}
- name: receivers-ca
  mountPath: /etc/hooklane/receivers-ca
  readOnly: true
{{- end }}
{{- end }}
{{- if eq .component "retrier" }}
- name: spool
  mountPath: /var/lib/hooklane/spool
{{- end }}
{{- if eq .component "subscriptions" }}
- name: documents
  mountPath: /etc/hooklane/subscriptions
  readOnly: true
{{- end }}
{{- with (include "hooklane.pod" . | fromJson).extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "hooklane.volumes" -}}
{{- $kafka := include "hooklane.kafka" . | fromJson -}}
{{- $values := .root.Values -}}
- name: tmp
  emptyDir:
    sizeLimit: 64Mi
{{- if include "hooklane.hasPropertyFiles" $kafka }}
{{- $oauth := eq $kafka.sasl.mechanism "OAUTHBEARER" }}
- name: kafka-properties
  projected:
    defaultMode: 0440
    sources:
      {{- if $kafka.sasl.mechanism }}
      - secret:
          name: {{ $kafka.sasl.existingSecret }}
          items:
            {{- if not $kafka.sasl.username }}
            - key: {{ $kafka.sasl.usernameKey }}
              path: {{ ternary "sasl.oauthbearer.client.id" "sasl.username" $oauth }}
            {{- end }}
            - key: {{ $kafka.sasl.passwordKey }}
              path: {{ ternary "sasl.oauthbearer.client.secret" "sasl.password" $oauth }}
      {{- end }}
      {{- with $kafka.tls.certificate }}
      {{- if and .existingSecret .passphraseKey }}
      - secret:
          name: {{ .existingSecret }}
          items:
            - key: {{ .passphraseKey }}
              path: ssl.key.password
      {{- end }}
      {{- end }}
{{- end }}
{{- if or $kafka.tls.ca.existingSecret $kafka.tls.certificate.existingSecret }}
- name: kafka-tls
  projected:
    defaultMode: 0440
    sources:
      {{- with $kafka.tls.ca }}
      {{- if .existingSecret }}
      - secret:
          name: {{ .existingSecret }}
          items:
            - key: {{ .key }}
              path: ca.crt
      {{- end }}
      {{- end }}
      {{- with $kafka.tls.certificate }}
      {{- if .existingSecret }}
      - secret:
          name: {{ .existingSecret }}
          items:
            - key: {{ .certificateKey }}
              path: tls.crt
            - key: {{ .privateKeyKey }}
              path: tls.key
      {{- end }}
      {{- end }}
{{- end }}
{{- if has .component (list "fanout" "retrier") }}
{{- with $values.secrets.files }}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- range . }}
      - secret:
          name: {{ .existingSecret }}
          items:
            - key: {{ .key }}
              path: {{ .name }}
      {{- end }}
{{- end }}
{{- with $values.secrets.encryptionKeys }}
{{- if .existingSecret }}
- name: encryption-keys
  secret:
    secretName: {{ .existingSecret }}
    defaultMode: 0440
    items:
      - key: {{ .key }}
        path: keys
{{- end }}
{{- end }}
{{- with $values.receivers.ca }}
{{- if .existingSecret }}
- name: receivers-ca
  secret:
    secretName: {{ .existingSecret }}
    defaultMode: 0440
    items:
      - key: {{ .key }}
        path: ca.crt
{{- else if .existingConfigMap }}
- name: receivers-ca
  configMap:
    name: {{ .existingConfigMap }}
    items:
      - key: {{ .key }}
        path: ca.crt
{{- end }}
{{- end }}
{{- end }}
{{- if and (eq .component "retrier") (not .own.spool.persistence) }}
- name: spool
  emptyDir:
    sizeLimit: {{ .own.spool.size }}
{{- end }}
{{- if eq .component "subscriptions" }}
- name: documents
  configMap:
    name: {{ default (printf "%s-subscriptions" (include "hooklane.fullname" .root)) .own.existingConfigMap }}
{{- end }}
{{- with (include "hooklane.pod" . | fromJson).extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}
