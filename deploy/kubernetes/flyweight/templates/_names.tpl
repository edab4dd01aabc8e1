{{- define "flyweight.name" -}}
{{- $name := ternary .Release.Name (printf "%s-flyweight" .Release.Name) (contains "flyweight" .Release.Name) -}}
{{- $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "flyweight.redisName" -}}{{ include "flyweight.name" . }}-redis{{- end -}}
{{- define "flyweight.keysName" -}}{{ .Values.keys.existingSecret | default (printf "%s-keys" (include "flyweight.name" .)) }}{{- end -}}
{{- define "flyweight.artifactsClaim" -}}{{ .Values.artifacts.existingClaim | default (printf "%s-artifacts" (include "flyweight.name" .)) }}{{- end -}}
{{- define "flyweight.dataClaim" -}}{{ .Values.data.existingClaim | default (printf "%s-data" (include "flyweight.name" .)) }}{{- end -}}

{{/* What finds the pods of a component: (list $ "service"). Never changes in the life of a release. */}}
{{- define "flyweight.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: flyweight
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "flyweight.labels" -}}
{{- $root := index . 0 -}}
{{ include "flyweight.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ $root.Chart.Name }}-{{ $root.Chart.Version }}
{{- end -}}

{{- define "flyweight.image" -}}
{{- $image := index . 1 -}}
{{ $image.repository }}:{{ $image.tag | default (index . 0).Chart.AppVersion }}
{{- end -}}

{{/* "true" where a server of ours, or one outside, is named; else each pod has one of its own. */}}
{{- define "flyweight.hasRedis" -}}
{{- if or .Values.redis.enabled .Values.redis.url .Values.redis.urlSecret.name -}}true{{- end -}}
{{- end -}}

{{- define "flyweight.hasKeys" -}}
{{- if or .Values.keys.api .Values.keys.admin .Values.keys.existingSecret -}}true{{- end -}}
{{- end -}}

{{/* Whether jobs need the volume of data. */}}
{{- define "flyweight.hasJobs" -}}
{{- if or .Values.materialize.enabled .Values.ingest.enabled .Values.retrain.enabled .Values.loadtest.enabled -}}true{{- end -}}
{{- end -}}

{{- define "flyweight.claim" -}}
{{- $root := index . 0 -}}
{{- $volume := index . 2 -}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{ index . 1 }}
  labels: {{- include "flyweight.labels" (list $root "volume") | nindent 4 }}
  annotations: {helm.sh/resource-policy: keep}  # what was learned and logged outlives the release
spec:
  accessModes: {{ $volume.accessModes | toJson }}
  {{- with $volume.storageClass }}
  storageClassName: {{ . }}
  {{- end }}
  resources: {requests: {storage: {{ $volume.size }}}}
{{- end -}}
