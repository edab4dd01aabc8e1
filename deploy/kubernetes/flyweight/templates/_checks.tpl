{{/* What cannot work is refused before anything is installed: found, expected, remedy. */}}
{{- define "flyweight.checks" -}}
{{- $v := .Values -}}
{{- if and $v.redis.enabled (or $v.redis.url $v.redis.urlSecret.name) -}}
{{- fail "redis: found both the chart's own server and one outside; expected one. Set redis.enabled to false, or empty redis.url and redis.urlSecret." -}}
{{- end -}}
{{- if and $v.redis.url $v.redis.urlSecret.name -}}
{{- fail "redis: found both url and urlSecret; expected one of them." -}}
{{- end -}}
{{- if and $v.redis.cluster (not (or $v.redis.url $v.redis.urlSecret.name)) -}}
{{- fail "redis.cluster: found true without redis.url or redis.urlSecret; the chart's own server is no cluster. Name a node of yours." -}}
{{- end -}}
{{- if not (include "flyweight.hasRedis" .) -}}
{{- if or $v.autoscaling.enabled (gt (int $v.replicas) 1) -}}
{{- fail "redis: found none, so that each pod would start one of its own, and replicas would not know each other's events; expected a Redis for more than one replica. Set redis.enabled, redis.url or redis.urlSecret; or replicas: 1 and autoscaling.enabled: false." -}}
{{- end -}}
{{- if include "flyweight.hasJobs" . -}}
{{- fail "redis: found none, and jobs that cannot reach the one inside the pod. Set redis.enabled, redis.url or redis.urlSecret." -}}
{{- end -}}
{{- else if $v.state.existingClaim -}}
{{- fail "state.existingClaim: found a claim beside a Redis; expected it with the embedded Redis only: pods that share a state folder refuse to start." -}}
{{- end -}}
{{- $seen := add1 (mul $v.probes.readyPeriodSeconds $v.probes.readyFailureThreshold) -}}
{{- if lt (int $v.drain.seconds) (int $seen) -}}
{{- fail (printf "drain.seconds: found %v, expected at least %d: probes.readyPeriodSeconds times probes.readyFailureThreshold, and a second, until everybody has seen that the pod is not ready." $v.drain.seconds $seen) -}}
{{- end -}}
{{- if not (or (dig "limits" "cpu" "" $v.resources) (hasKey $v.env "FLYWEIGHT_SERVICE_WORKERS")) -}}
{{- fail "resources.limits.cpu: found none, so that one worker would start for every core of the node. Set it, or env.FLYWEIGHT_SERVICE_WORKERS." -}}
{{- end -}}
{{- range $name := list "FLYWEIGHT_SERVICE_API_KEYS" "FLYWEIGHT_SERVICE_ADMIN_KEYS" "FLYWEIGHT_SERVICE_DRAIN_SECONDS" "FLYWEIGHT_SERVICE_PORT" "FLYWEIGHT_SERVICE_HOST" "FLYWEIGHT_FEATURES_REDIS_URL" "FLYWEIGHT_FEATURES_CLUSTER" "FLYWEIGHT_STATE" "FLYWEIGHT_HOST" "FLYWEIGHT_KEY" "FLYWEIGHT_CONFIG" -}}
{{- if hasKey $v.env $name -}}
{{- fail (printf "env.%s: found it among the settings; the chart sets it by itself, from keys, drain, redis and state." $name) -}}
{{- end -}}
{{- end -}}
{{- range $name, $_ := $v.env -}}
{{- if hasPrefix "FLYWEIGHT_PATHS_" $name -}}
{{- fail (printf "env.%s: found a path among the settings; the chart decides where things lie." $name) -}}
{{- end -}}
{{- end -}}
{{- if and $v.otlp.endpoint (hasKey $v.env "OTEL_EXPORTER_OTLP_ENDPOINT") -}}
{{- fail "env.OTEL_EXPORTER_OTLP_ENDPOINT: found it beside otlp.endpoint; expected one of them. Set otlp.endpoint." -}}
{{- end -}}
{{- if $v.networkPolicy.enabled -}}
{{- range $name, $way := dict "redis.url" (list $v.redis.url "6379" "redisPorts") "otlp.endpoint" (list $v.otlp.endpoint "" "otlpPorts") -}}
{{- $port := regexFind ":[0-9]+$" (urlParse (index $way 0)).host | trimPrefix ":" | default (index $way 1) -}}
{{- $allowed := list -}}
{{- range index $v.networkPolicy (index $way 2) }}{{ $allowed = append $allowed (toString .) }}{{ end -}}
{{- if and (index $way 0) $port (not (has $port $allowed)) -}}
{{- fail (printf "networkPolicy.%s: found no %s, the port of %s, so that nobody could reach it; expected it among them." (index $way 2) $port $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (or $v.retrain.enabled $v.materialize.enabled) (ne $v.artifacts.source "volume") -}}
{{- fail "artifacts.source: found image with retrain or materialize; expected volume, where the artifacts and the item numbers lie. Set artifacts.source: volume." -}}
{{- end -}}
{{- if and $v.keys.existingSecret (or $v.keys.api $v.keys.admin) -}}
{{- fail "keys: found hashes and an existingSecret; expected one of them." -}}
{{- end -}}
{{- if and (include "flyweight.hasKeys" .) (or $v.serviceMonitor.enabled $v.loadtest.enabled) (not $v.keys.clientSecret.name) -}}
{{- fail "keys.clientSecret.name: found none, though the service asks for a key; expected a Secret that holds one, for Prometheus and the load test." -}}
{{- end -}}
{{- range $wanted, $file := dict "prometheusRule" "files/rules.yml" "dashboard" "files/dashboard.json" -}}
{{- if and (index $v $wanted).enabled (not ($.Files.Get $file)) -}}
{{- fail (printf "%s.enabled: found true, but this copy of the chart lacks %s; expected the one of the same release." $wanted $file) -}}
{{- end -}}
{{- end -}}
{{- if gt (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas) -}}
{{- fail (printf "autoscaling.minReplicas: found %v, above maxReplicas = %v." $v.autoscaling.minReplicas $v.autoscaling.maxReplicas) -}}
{{- end -}}
{{- end -}}
