"""Checks of k8s/ and helm/; see services/scripts/check-kubernetes.py."""
