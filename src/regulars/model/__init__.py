"""The nouns of the product: frozen values that import nothing but the standard library."""
