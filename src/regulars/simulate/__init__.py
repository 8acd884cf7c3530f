"""Replays a trace through the router: `regulars simulate`. Says what a routing policy would do."""
