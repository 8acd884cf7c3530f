"""The demo: real llama.cpp servers with a tiny random model, and users who chat with them."""
