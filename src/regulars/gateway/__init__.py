"""Conducts requests: relay.py, and what it needs to speak with the client."""
