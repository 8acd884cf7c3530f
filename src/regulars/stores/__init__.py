"""Where things are kept: roles in base.py, one folder a store. Only `stores/x` imports x's driver."""
