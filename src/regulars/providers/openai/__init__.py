"""The common dialect: OpenAI's chat completions, as most providers and inference servers speak it."""
