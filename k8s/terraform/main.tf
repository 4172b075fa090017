locals {
  namespace = coalesce(var.namespace, "vyuha-${var.use_case}")
}

# Pods that are not hardened are refused here.
resource "kubernetes_namespace" "vyuha" {
  metadata {
    name = local.namespace
    labels = {
      "pod-security.kubernetes.io/enforce" = "restricted"
      "pod-security.kubernetes.io/warn"    = "restricted"
    }
  }
}

# Letters and digits only: the password is part of a URL.
resource "random_password" "redis" {
  length  = 32
  special = false
}

resource "kubernetes_secret" "redis" {
  metadata {
    name      = "redis-credentials"
    namespace = kubernetes_namespace.vyuha.metadata[0].name
  }
  data = {
    password = random_password.redis.result
    url      = coalesce(var.redis_url, "redis://:${random_password.redis.result}@redis:6379/0")
  }
}

resource "kubernetes_secret" "webhook" {
  count = var.webhook_url == null ? 0 : 1
  metadata {
    name      = "alert-receivers"
    namespace = kubernetes_namespace.vyuha.metadata[0].name
  }
  data = {
    "webhook-url" = var.webhook_url
  }
}

# The suite, with its Kafka and its Redis where no external ones are given.
resource "helm_release" "vyuha" {
  name      = var.use_case
  chart     = "${path.module}/../../helm/vyuha"
  namespace = kubernetes_namespace.vyuha.metadata[0].name
  # Ready means: topics exist, partitions are assigned, a model is trained and loaded.
  wait          = true
  wait_for_jobs = true
  timeout       = 600

  values = [yamlencode({
    useCase = {
      name       = var.use_case
      definition = var.definition_file == null ? "" : file(var.definition_file)
    }
    images = { registry = var.image_registry }
    kafka = {
      inCluster        = var.kafka_bootstrap_servers == null
      bootstrapServers = var.kafka_bootstrap_servers == null ? "" : var.kafka_bootstrap_servers
    }
    redis = {
      inCluster = var.redis_url == null
      secret    = kubernetes_secret.redis.metadata[0].name
    }
    alerts      = { webhookEgress = var.webhook_url != null }
    services    = { for name, count in var.replicas : name => { replicas = count } }
    autoscaling = { kind = var.autoscaling }
  })]

  depends_on = [kubernetes_secret.webhook]
}
