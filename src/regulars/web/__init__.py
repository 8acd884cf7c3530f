"""The pages people look at: server-rendered, behind a management key."""
