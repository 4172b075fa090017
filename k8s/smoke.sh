#!/usr/bin/env bash
# Tries the suite on your Minikube from beginning to end: apply, wait, see events and an anomaly, scale to 3, see lag fall, delete.
#
#     k8s/smoke.sh [use case]        default battlefield; KEEP=1 leaves everything running
#
# Needs kubectl with a running cluster and the images vyuha/…:0.1.0 on it (k8s/README.md, "Minikube"). Takes about five minutes the first
# time. Each step that fails says what to look at.
set -euo pipefail
cd "$(dirname "$0")/.."

use_case=${1:-battlefield}
overlay=k8s/overlays/$use_case
namespace=vyuha-$use_case
step="starting"
advice="the message above"
forward=""

fail() {
    echo
    echo "FAILED while $step."
    echo "Look at: $advice"
    echo "Everything is left as it is; remove it with: kubectl delete -k $overlay --ignore-not-found"
    exit 1
}
trap fail ERR
cleanup() { if [ -n "$forward" ]; then kill "$forward" 2>/dev/null || true; fi; }
trap cleanup EXIT

begin() {
    step=$1
    advice=$2
    echo "── $step"
}

k() { kubectl --namespace "$namespace" "$@"; }

# A metric of one service, summed over its pods and series: value <service> <metric> [part of the labels]
value() {
    local pod sum=0 port more
    port=$(k get service "$1" -o 'jsonpath={.spec.ports[0].port}')
    for pod in $(k get pods -l "app.kubernetes.io/name=$1" -o 'jsonpath={.items[*].metadata.name}'); do
        more=$(kubectl get --raw "/api/v1/namespaces/$namespace/pods/$pod:$port/proxy/metrics" \
            | awk -v name="$2" -v labels="${3:-}" '$1 ~ "^" name "([{]|$)" && index($1, labels) { sum += $2 } END { printf "%d", sum }')
        sum=$((sum + more))
    done
    echo "$sum"
}

# Waits until a command succeeds: until_true <seconds> <command...>
until_true() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        if [ "$SECONDS" -ge "$end" ]; then return 1; fi
        sleep 2
    done
}

# Waits until a job is complete: completed <job> <seconds>. One that is gone was removed after its end; had it failed, the services would
# wait for what it makes, and the steps that follow say so.
completed() {
    local left
    k wait --for=condition=complete "job/$1" --timeout="${2}s" || { left=$(k get job "$1" --ignore-not-found --output name) && [ -z "$left" ]; }
}

more_than() { [ "$(value "$2" "$3")" -gt "$1" ]; }
at_most() { [ "$(value "$2" "$3")" -le "$1" ]; }

begin "looking for a cluster" "\`kubectl config current-context\` and \`minikube status\`"
kubectl version --output=yaml >/dev/null
if [ ! -d "$overlay" ]; then
    echo "There is no use case $use_case; there are: $(cd k8s/overlays && echo *)."
    false
fi
if command -v minikube >/dev/null && minikube status >/dev/null 2>&1; then
    begin "looking for the images on Minikube" "k8s/README.md, \"Minikube\": build the images, then \`minikube image load\`"
    minikube image ls | grep -q 'vyuha/scoring-service:0.1.0'
fi

begin "applying $overlay" "the object that the message names; \`kubectl kustomize $overlay\` shows what was sent"
# Finished jobs of an earlier run cannot be changed.
kubectl --namespace "$namespace" delete job topics train --ignore-not-found >/dev/null 2>&1 || true
kubectl apply -k "$overlay"

begin "waiting for Kafka (first start: the image is pulled)" \
    "\`kubectl -n $namespace describe pod kafka-0\` (memory, volume, image), \`kubectl -n $namespace logs kafka-0\`"
k rollout status statefulset/kafka --timeout=300s
begin "waiting for Redis" "\`kubectl -n $namespace describe pod redis-0\`, \`kubectl -n $namespace logs redis-0\`"
k rollout status statefulset/redis --timeout=180s
begin "waiting for the topics" "\`kubectl -n $namespace logs job/topics\`"
completed topics 180
begin "waiting for the first model" "\`kubectl -n $namespace logs job/train --all-containers\` (it is removed 15 minutes after its end)"
completed train 300
# shellcheck disable=SC2013  # a word is a name
for service in $(sed -n '/^services:/,/^tools:/s/^  - name: //p' services/catalog.yaml); do
    begin "waiting for $service" \
        "\`kubectl -n $namespace logs statefulset/$service\`; its readiness answers what it waits for: \`kubectl -n $namespace describe pod $service-0\`"
    k rollout status "statefulset/$service" --timeout=120s
done

begin "seeing events" "the producer's log; \`kubectl -n $namespace logs producer-0\`"
until_true 60 more_than 0 producer vyuha_events_produced_total
begin "seeing scores" "\`kubectl -n $namespace logs scoring-service-0\` and the dead letters: vyuha_dead_letters_total of stream-processor"
until_true 60 more_than 0 scoring-service vyuha_scores_total
begin "seeing an anomaly" "the threshold of services/usecases/$use_case/usecase.yaml; anomalies_detected_total of scoring-service"
until_true 180 more_than 0 scoring-service anomalies_detected_total
begin "seeing an alert" "\`kubectl -n $namespace logs alert-sink-0\`"
until_true 60 more_than 0 alert-sink alerts_sent_total

begin "asking /ready from outside" "\`kubectl -n $namespace get endpoints scoring-service\`; is port 18000 of this machine free?"
k port-forward service/scoring-service 18000:8000 >/dev/null &
forward=$!
until_true 20 curl --silent --fail --output /dev/null http://127.0.0.1:18000/ready
cleanup
forward=""

begin "making a lag: the processor rests while events come" "\`kubectl -n $namespace describe statefulset stream-processor\`"
k scale statefulset stream-processor --replicas=0
k wait --for=delete pod/stream-processor-0 --timeout=60s
sleep 20
begin "scaling the processor to 3" "\`kubectl -n $namespace get pods\` (a pending pod: \`kubectl describe pod\` says what is short)"
k scale statefulset stream-processor --replicas=3
k rollout status statefulset/stream-processor --timeout=120s
begin "seeing that all three have partitions" "vyuha_assigned_partitions of each: \`kubectl -n $namespace logs stream-processor-1\`"
until_true 60 more_than 0 stream-processor vyuha_assigned_partitions
echo "   partitions assigned: $(value stream-processor vyuha_assigned_partitions), lag: $(value stream-processor kafka_consumer_lag)"
begin "seeing the lag fall" "CPU: \`kubectl -n $namespace top pods\`; \`kubectl -n $namespace logs stream-processor-0\`"
until_true 120 at_most 500 stream-processor kafka_consumer_lag
echo "   lag: $(value stream-processor kafka_consumer_lag)"
k scale statefulset stream-processor --replicas=1

begin "looking for restarts and memory" "\`kubectl -n $namespace describe pods\`: a container that was killed says OOMKilled"
restarts=$(k get pods -o 'jsonpath={range .items[*]}{range .status.containerStatuses[*]}{.restartCount}{"\n"}{end}{end}' | awk '{ sum += $1 } END { print sum + 0 }')
echo "   restarts: $restarts (jobs that waited for Kafka count too)"
k get pods
kubectl --namespace "$namespace" top pods 2>/dev/null || echo "   (kubectl top needs: minikube addons enable metrics-server)"

if [ -n "${KEEP:-}" ]; then
    echo "PASSED. Everything is left running, as KEEP asked."
    exit 0
fi
begin "deleting" "\`kubectl get namespace $namespace -o yaml\`: status.conditions say what holds it"
# The jobs may be gone: a while after they end they are removed.
kubectl delete -k "$overlay" --ignore-not-found --timeout=180s
echo "PASSED."
