"""Bytes to values and back: the public API's chat requests and answers, SSE, OpenRouter's views."""
