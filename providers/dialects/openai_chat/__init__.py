"""OpenAI's chat completions, read and written: requests, answers, streams, usage. Pure.

Shapes: https://platform.openai.com/docs/api-reference/chat, and what other vendors widely add to it
(`reasoning_content`, `reasoning_details`, `citations`).
"""
