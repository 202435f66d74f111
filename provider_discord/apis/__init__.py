"""The Kubernetes API of this provider: one pydantic model a kind, from which the CRDs are generated."""
