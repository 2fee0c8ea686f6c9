"""The local engine: language models of transformers in this process, with shared prefixes computed once."""
