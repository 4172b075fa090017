variable "kubeconfig" {
  description = "File with the credentials of the cluster."
  type        = string
  default     = "~/.kube/config"
}

variable "context" {
  description = "Context of the kubeconfig file."
  type        = string
  default     = "minikube"
}

variable "use_case" {
  description = "Use case of the chart, or the name in your own definition."
  type        = string
  default     = "battlefield"

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{0,62}$", var.use_case))
    error_message = "The use case's name has 1 to 63 lower-case letters, digits and hyphens."
  }
}

variable "definition_file" {
  description = "Path of your own usecase.yaml; null takes the chart's."
  type        = string
  default     = null
}

variable "namespace" {
  description = "Namespace of this use case; null makes vyuha-<use case>."
  type        = string
  default     = null
}

variable "image_registry" {
  description = "Prefix of the images; empty takes what the nodes have."
  type        = string
  default     = ""
}

variable "kafka_bootstrap_servers" {
  description = "An external Kafka, host:port separated by commas; null runs a one-node Kafka in the namespace."
  type        = string
  default     = null
}

variable "redis_url" {
  description = "An external Redis, redis://user:password@host:port; null runs one in the namespace."
  type        = string
  default     = null
  sensitive   = true
}

variable "webhook_url" {
  description = "Address that gets each alert as a POST; null: alerts go to the log and their topic."
  type        = string
  default     = null
  sensitive   = true
}

variable "replicas" {
  description = "Pods of a consumer by its name, up to the use case's partitions; one of each that is not named."
  type        = map(number)
  default     = {}
}

variable "autoscaling" {
  description = "none, keda (on consumer lag; KEDA must be installed) or hpa (on CPU)."
  type        = string
  default     = "none"

  validation {
    condition     = contains(["none", "keda", "hpa"], var.autoscaling)
    error_message = "autoscaling is none, keda or hpa."
  }
}
