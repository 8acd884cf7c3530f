"""Regulars, the LLM gateway that knows its users' regulars."""

__version__ = "0.1.0"
