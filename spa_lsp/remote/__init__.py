"""A server elsewhere with the completions API of OpenAI, asked in place of the engine: llama-server, vLLM, SGLang."""
