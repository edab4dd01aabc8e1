{{/* What every pod of ours may do: nothing, as nobody, on a file system that it cannot change. */}}
{{- define "flyweight.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "flyweight.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Kubernetes would tell every pod of all services beside it, as FLYWEIGHT_REDIS_PORT=tcp://..., which is no
setting. */}}
{{- define "flyweight.podBasics" -}}
serviceAccountName: {{ include "flyweight.name" . }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The settings that all of our containers share. */}}
{{- define "flyweight.sharedEnv" -}}
{{- if .Values.redis.enabled }}
{{- if .Values.redis.passwordSecret.name }}
- name: REDIS_PASSWORD
  valueFrom: {secretKeyRef: {{ .Values.redis.passwordSecret | toJson }}}
{{- end }}
- name: REDIS_URL
  value: redis://{{ if .Values.redis.passwordSecret.name }}:$(REDIS_PASSWORD)@{{ end }}{{ include "flyweight.redisName" . }}:6379
{{- else if .Values.redis.urlSecret.name }}
- name: REDIS_URL
  valueFrom: {secretKeyRef: {{ .Values.redis.urlSecret | toJson }}}
{{- else if .Values.redis.url }}
- name: REDIS_URL
  valueFrom: {secretKeyRef: {name: {{ include "flyweight.name" . }}-redis-url, key: url}}
{{- end }}
{{- if .Values.redis.cluster }}
- name: FLYWEIGHT_FEATURES_CLUSTER
  value: "true"
{{- end }}
{{- range $name, $value := .Values.env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}

{{/* What a job runs in: (list $ "component" resources command [more env]). */}}
{{- define "flyweight.jobPod" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
metadata:
  labels: {{- include "flyweight.labels" (list $root $component) | nindent 4 }}
    flyweight/job: "true"
spec:
  {{- include "flyweight.podBasics" $root | nindent 2 }}
  restartPolicy: Never
  securityContext: {{- include "flyweight.podSecurity" 1034 | nindent 4 }}
  {{- with (index $root.Values $component).nodeSelector | default $root.Values.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $root.Values.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: {{ $component }}
      image: {{ include "flyweight.image" (list $root $root.Values.jobsImage) }}
      imagePullPolicy: {{ $root.Values.jobsImage.pullPolicy }}
      command: {{ index . 2 | toJson }}
      securityContext: {{- include "flyweight.containerSecurity" $root | nindent 8 }}
      resources: {{ (index $root.Values $component).resources | toJson }}
      env:
        {{- include "flyweight.sharedEnv" $root | trim | nindent 8 }}
        {{- range $name, $path := dict "ARTIFACTS" "/artifacts" "EVENTS" "/data/events" "SERVED" "/data/served" "RUNS" "/data/runs" "REPORTS" "/data/reports" "BUNDLE" "/data/bundle" }}
        - {name: FLYWEIGHT_PATHS_{{ $name }}, value: {{ $path }}}
        {{- end }}
        - {name: FLYWEIGHT_STATE, value: /tmp/state}
        - {name: HOME, value: /tmp}
        {{- range $name, $value := index . 3 }}
        - {name: {{ $name }}, value: {{ $value | quote }}}
        {{- end }}
        {{- if and (eq $component "loadtest") $root.Values.keys.clientSecret.name }}
        - name: FLYWEIGHT_KEY
          valueFrom: {secretKeyRef: {{ $root.Values.keys.clientSecret | toJson }}}
        {{- end }}
      volumeMounts:
        - {name: data, mountPath: /data}
        - {name: tmp, mountPath: /tmp}
        {{- if eq $root.Values.artifacts.source "volume" }}
        - {name: artifacts, mountPath: /artifacts, readOnly: {{ ne $component "retrain" }}}
        {{- end }}
  volumes:
    - {name: data, persistentVolumeClaim: {claimName: {{ include "flyweight.dataClaim" $root }}}}
    - {name: tmp, emptyDir: {}}
    {{- if eq $root.Values.artifacts.source "volume" }}
    - {name: artifacts, persistentVolumeClaim: {claimName: {{ include "flyweight.artifactsClaim" $root }}}}
    {{- end }}
{{- end -}}

{{/* Out of a pod of ours: names, and Redis. */}}
{{- define "flyweight.towardsRedis" -}}
- ports: [{protocol: UDP, port: 53}, {protocol: TCP, port: 53}]
{{- if .Values.redis.enabled }}
- to:
    - podSelector: {matchLabels: {{ include "flyweight.selector" (list . "redis") | fromYaml | toJson }}}
  ports: [{protocol: TCP, port: 6379}]
{{- else if include "flyweight.hasRedis" . }}
- ports: {{- range .Values.networkPolicy.redisPorts }}
    - {protocol: TCP, port: {{ . }}}
  {{- end }}
  {{- with .Values.networkPolicy.redisTo }}
  to: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end -}}
