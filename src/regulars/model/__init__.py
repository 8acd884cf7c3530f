"""The nouns of the product: frozen values, no behaviour beyond their own arithmetic.

What is made on every request is a `msgspec.Struct`: made six times faster than a frozen dataclass.
"""
