"""Upstream dialects, pure: how to ask a provider and how to read what it says."""
