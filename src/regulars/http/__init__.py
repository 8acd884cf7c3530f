"""The public JSON API over ASGI: handlers read, call, render. Decisions are made elsewhere."""
