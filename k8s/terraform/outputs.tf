output "namespace" {
  description = "Where everything runs."
  value       = kubernetes_namespace.vyuha.metadata[0].name
}

output "predict" {
  description = "How to ask for a score from this machine."
  value       = "kubectl -n ${local.namespace} port-forward service/scoring-service 8000"
}

output "alerts" {
  description = "How to see alerts."
  value       = "kubectl -n ${local.namespace} logs statefulset/alert-sink --follow"
}
