{{/* The use case's definition as text: the user's own, or the chart's. */}}
{{- define "vyuha.definition" -}}
{{- if .Values.useCase.definition -}}
{{ .Values.useCase.definition }}
{{- else -}}
{{- $file := printf "usecases/%s/usecase.yaml" .Values.useCase.name -}}
{{- $text := .Files.Get $file -}}
{{- if not $text -}}{{- fail (printf "There is no use case %s in the chart. Name one of its folders, or give your own with --set-file useCase.definition=usecase.yaml." .Values.useCase.name) -}}{{- end -}}
{{ $text }}
{{- end -}}
{{- end -}}

{{/* What the templates need of it, as JSON, after the checks that span several values. */}}
{{- define "vyuha.facts" -}}
{{- $case := include "vyuha.definition" . | fromYaml -}}
{{- if hasKey $case "Error" -}}{{- fail (printf "useCase.definition is not YAML: %s" (get $case "Error")) -}}{{- end -}}
{{- if ne (toString $case.name) .Values.useCase.name -}}{{- fail (printf "useCase.name is %s, but the definition's name is %s. Give both the same name." .Values.useCase.name (toString $case.name)) -}}{{- end -}}
{{- $partitions := int (default 32 $case.partitions) -}}
{{- if and (ne .Values.autoscaling.kind "none") (gt (int .Values.autoscaling.maxReplicas) $partitions) -}}{{- fail (printf "autoscaling.maxReplicas is %d, but %s has only %d partitions: a pod without a partition does nothing." (int .Values.autoscaling.maxReplicas) .Values.useCase.name $partitions) -}}{{- end -}}
{{- $catalog := dict -}}
{{- range (.Files.Get "catalog.yaml" | fromYaml).services -}}{{- $_ := set $catalog .name . -}}{{- end -}}
{{- range $name, $service := .Values.services -}}
{{- if not (hasKey $catalog $name) -}}{{- fail (printf "services.%s is no service; there are: %s." $name (keys $catalog | sortAlpha | join ", ")) -}}{{- end -}}
{{- if and (gt (int $service.replicas) 1) (not (get $catalog $name).scales) -}}{{- fail (printf "services.%s.replicas is %d, but only one may run." $name (int $service.replicas)) -}}{{- end -}}
{{- if gt (int $service.replicas) $partitions -}}{{- fail (printf "services.%s.replicas is %d, but the use case has only %d partitions." $name (int $service.replicas) $partitions) -}}{{- end -}}
{{- end -}}
{{- if and (not .Values.kafka.inCluster) (not .Values.kafka.bootstrapServers) -}}{{- fail "kafka.inCluster is off: give kafka.bootstrapServers." -}}{{- end -}}
{{- if and .Values.kafka.inCluster .Values.kafka.tls.enabled -}}{{- fail "kafka.tls is for an external Kafka: set kafka.inCluster to false." -}}{{- end -}}
{{- if and (not .Values.redis.inCluster) (not .Values.redis.secret) -}}{{- fail "redis.inCluster is off: give redis.secret, a Secret with the key url." -}}{{- end -}}
{{- if .Values.kafka.inCluster -}}{{- include "vyuha.kafkaFits" .Values.kafka -}}{{- end -}}
{{- $source := default dict $case.source -}}
{{- $rate := default 0 $source.rate -}}
{{- $entities := 0 -}}
{{- if .Values.producer.rate -}}
{{- $rate = .Values.producer.rate -}}
{{- else if gt (float64 $rate) 2000.0 -}}
{{- with (default dict $source.simulator).entities -}}{{- $entities = divf (mulf . 2000) $rate | int64 -}}{{- end -}}
{{- $rate = 2000 -}}
{{- end -}}
{{- $simulated := hasKey (default dict $case.training) "simulator" -}}
{{- dict "rate" (ternary (int64 $rate) $rate (eq (toString (int64 $rate)) (toString $rate))) "entities" $entities "simulated" $simulated "partitions" $partitions | toJson -}}
{{- end -}}

{{/* The parts of the broker's memory fit each other; see values.yaml. */}}
{{- define "vyuha.kafkaFits" -}}
{{- $need := divf (add .memory.heap 192 128) 0.9 | ceil | int64 -}}
{{- $amount := .resources.limits.memory -}}
{{- $unit := dict "m" 0.001 "k" 1e3 "M" 1e6 "G" 1e9 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 -}}
{{- $limit := mulf (regexFind "^[0-9.]+" $amount | float64) (get $unit (regexFind "[A-Za-z]*$" $amount) | default 1) -}}
{{- if lt $limit (mulf $need 1048576) -}}{{- fail (printf "kafka.resources.limits.memory is %s, but a heap of %d MiB needs %dMi: change it or kafka.memory.heap." $amount (int .memory.heap) $need) -}}{{- end -}}
{{- if gt (mul .memory.dedupeBuffer 6) (int64 .memory.heap) -}}{{- fail (printf "kafka.memory.dedupeBuffer is %d MiB, but at most a sixth of the heap of %d MiB can be one piece in its old generation." (int .memory.dedupeBuffer) (int .memory.heap)) -}}{{- end -}}
{{- end -}}

{{- define "vyuha.labels" -}}
app.kubernetes.io/part-of: vyuha
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/instance: {{ .Release.Name }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "vyuha.image" -}}
{{- with .root.Values.images.registry }}{{ trimSuffix "/" . }}/{{ end }}vyuha/{{ .name }}:{{ .root.Values.images.tag | default .root.Chart.AppVersion }}
{{- end -}}

{{/* Settings of every container of the suite. */}}
{{- define "vyuha.settings" -}}
{{- $facts := include "vyuha.facts" . | fromJson -}}
KAFKA_BOOTSTRAP_SERVERS: {{ .Values.kafka.bootstrapServers | default (printf "kafka.%s.svc:9092" .Release.Namespace) | quote }}
VYUHA_HOST: 0.0.0.0
VYUHA_LOG_FORMAT: json
VYUHA_LOG_LEVEL: {{ .Values.logLevel }}
VYUHA_USE_CASE: /usr/share/vyuha/usecases/{{ .Values.useCase.name }}
{{- if $facts.rate }}
VYUHA_RATE: {{ $facts.rate | toString | quote }}
{{- end }}
{{- if .Values.kafka.tls.enabled }}
VYUHA_KAFKA_SECURITY_PROTOCOL: SASL_SSL
VYUHA_KAFKA_SASL_MECHANISM: {{ .Values.kafka.tls.mechanism }}
VYUHA_KAFKA_SSL_CA_LOCATION: /etc/kafka-client/ca.crt
{{- end }}
{{- range $name, $value := .Values.env }}
{{ $name }}: {{ $value | quote }}
{{- end }}
{{- end -}}

{{/* ConfigMaps are named after their content: a change makes new pods, one at a time, and a rollback finds what it had. */}}
{{- define "vyuha.suiteName" -}}suite-{{ include "vyuha.settings" . | sha256sum | trunc 10 }}{{- end -}}
{{- define "vyuha.usecaseName" -}}usecase-{{ include "vyuha.definition" . | sha256sum | trunc 10 }}{{- end -}}
{{- define "vyuha.redisSecret" -}}{{ .Values.redis.secret | default "redis" }}{{- end -}}

{{- define "vyuha.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "vyuha.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
privileged: false
capabilities: { drop: [ALL] }
{{- end -}}

{{- define "vyuha.env" -}}
- name: REDIS_URL
  valueFrom: { secretKeyRef: { name: {{ include "vyuha.redisSecret" . }}, key: url } }
{{- end -}}

{{- define "vyuha.kafkaEnv" -}}
{{- if .Values.kafka.tls.enabled }}
- name: VYUHA_KAFKA_SASL_USERNAME
  valueFrom: { secretKeyRef: { name: {{ .Values.kafka.tls.secret }}, key: username } }
- name: VYUHA_KAFKA_SASL_PASSWORD
  valueFrom: { secretKeyRef: { name: {{ .Values.kafka.tls.secret }}, key: password } }
{{- end }}
{{- end -}}

{{- define "vyuha.mounts" -}}
- { name: tmp, mountPath: /tmp }
# One file over the image's folder, whose samples stay visible.
- { name: usecase, mountPath: /usr/share/vyuha/usecases/{{ .Values.useCase.name }}/usecase.yaml, subPath: usecase.yaml, readOnly: true }
{{- end -}}

{{- define "vyuha.kafkaMounts" -}}
{{- if .Values.kafka.tls.enabled }}
- { name: kafka-client, mountPath: /etc/kafka-client, readOnly: true }
{{- end }}
{{- end -}}

{{- define "vyuha.volumes" -}}
- name: tmp
  emptyDir: { sizeLimit: 64Mi }
- name: usecase
  configMap: { name: {{ include "vyuha.usecaseName" . }} }
{{- end -}}

{{- define "vyuha.kafkaVolumes" -}}
{{- if .Values.kafka.tls.enabled }}
- name: kafka-client
  secret:
    secretName: {{ .Values.kafka.tls.secret }}
    items: [{ key: ca.crt, path: ca.crt }]
{{- end }}
{{- end -}}

{{/* Head of the pod of every service and task. */}}
{{- define "vyuha.pod" -}}
serviceAccountName: vyuha
automountServiceAccountToken: false
# Kubernetes would add variables such as REDIS_PORT for every Service.
enableServiceLinks: false
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
securityContext: {{- include "vyuha.podSecurity" 10001 | nindent 2 }}
{{- end -}}
