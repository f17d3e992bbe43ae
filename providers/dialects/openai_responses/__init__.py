"""OpenAI's Responses API, which is also Perplexity's Agent API: requests, answers, streams, errors. Pure.

Shapes: https://platform.openai.com/docs/api-reference/responses
"""
