{{/* Names, labels and the image. */}}

{{- define "hooklane.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 40 characters: a StatefulSet's pods and revisions add to it, and a label holds 63. */}}
{{- define "hooklane.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "hooklane.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "hooklane.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* By what pods are found; never changes between versions. */}}
{{- define "hooklane.selector" -}}
app.kubernetes.io/name: {{ include "hooklane.name" . }}
app.kubernetes.io/instance: {{ .Release.Name | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{/* Labels of an object. Takes: root, component ("" for none). */}}
{{- define "hooklane.labels" -}}
{{- with .root -}}
{{- $labels := dict
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
  "app.kubernetes.io/version" (.Chart.AppVersion | replace "+" "_" | trunc 63)
  "app.kubernetes.io/managed-by" .Release.Service
  "app.kubernetes.io/part-of" "hooklane" -}}
{{- if $.component -}}
{{- $_ := set $labels "app.kubernetes.io/component" $.component -}}
{{- end -}}
{{- toYaml (merge (include "hooklane.selector" . | fromYaml) $labels .Values.commonLabels) -}}
{{- end -}}
{{- end -}}

{{- define "hooklane.image" -}}
{{- $global := .Values.global | default dict -}}
{{- $registry := $global.imageRegistry | default .Values.image.registry -}}
{{- $repository := ternary (printf "%s/%s" $registry .Values.image.repository) .Values.image.repository (ne $registry "") -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The number of seconds of a duration such as 250ms, 30s, 5m, 2h or 1d, rounded up. */}}
{{- define "hooklane.seconds" -}}
{{- $number := regexFind "^[0-9]+" . | int64 -}}
{{- $unit := regexFind "[a-z]+$" . -}}
{{- if eq $unit "ms" -}}
{{- div (add $number 999) 1000 -}}
{{- else -}}
{{- mul $number (index (dict "s" 1 "m" 60 "h" 3600 "d" 86400) $unit) -}}
{{- end -}}
{{- end -}}

{{/* One map over another, at every depth, as JSON; also what is empty or false counts, which sprig's
mergeOverwrite passes over. Takes: a list of both. */}}
{{- define "hooklane.over" -}}
{{- $found := deepCopy (index . 0) -}}
{{- range $name, $value := index . 1 -}}
{{- $below := get $found $name -}}
{{- if and (kindIs "map" $value) (kindIs "map" $below) -}}
{{- $_ := set $found $name (include "hooklane.over" (list $below $value) | fromJson) -}}
{{- else -}}
{{- $_ := set $found $name $value -}}
{{- end -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}
