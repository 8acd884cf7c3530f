"""Scheduled reports: when they are due, and how they reach a folder or a webhook."""
