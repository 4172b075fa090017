"""Checks of k8s/ and helm/; see services/scripts/kubernetes/check.py."""
