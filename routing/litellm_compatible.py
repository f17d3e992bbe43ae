"""Providers of LiteLLM that speak OpenAI's dialect: where they are asked, and with which variable's key. Pure."""

from typing import Final

COMPATIBLE: Final = {
    "cerebras": ("https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
    "codestral": ("https://codestral.mistral.ai/v1", "CODESTRAL_API_KEY"),
    "dashscope": ("https://dashscope.aliyuncs.com/compatible-mode/v1", "DASHSCOPE_API_KEY"),
    "deepinfra": ("https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY"),
    "deepseek": ("https://api.deepseek.com", "DEEPSEEK_API_KEY"),
    "fireworks_ai": ("https://api.fireworks.ai/inference/v1", "FIREWORKS_AI_API_KEY"),
    "gemini": ("https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY"),
    "groq": ("https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    "llamafile": ("http://127.0.0.1:8080/v1", ""),
    "meta_llama": ("https://api.llama.com/compat/v1", "LLAMA_API_KEY"),
    "mistral": ("https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    "moonshot": ("https://api.moonshot.ai/v1", "MOONSHOT_API_KEY"),
    "nebius": ("https://api.studio.nebius.ai/v1", "NEBIUS_API_KEY"),
    "nvidia_nim": ("https://integrate.api.nvidia.com/v1", "NVIDIA_NIM_API_KEY"),
    "ollama": ("http://localhost:11434", ""),
    "ollama_chat": ("http://localhost:11434", ""),
    "sambanova": ("https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY"),
    "together_ai": ("https://api.together.xyz/v1", "TOGETHERAI_API_KEY"),
    "volcengine": ("https://ark.cn-beijing.volces.com/api/v3", "VOLCENGINE_API_KEY"),
    "zai": ("https://api.z.ai/api/paas/v4", "ZAI_API_KEY"),
}
_SPOKEN_TO_OTHERWISE: Final = {
    "gemini": "LiteLLM asks Google's own API; here it is asked at Google's address for OpenAI's",
    "ollama": "LiteLLM asks Ollama's own API; here it is asked for OpenAI's",
    "ollama_chat": "LiteLLM asks Ollama's own API; here it is asked for OpenAI's",
}
_LOADED_WHEN_ASKED: Final = frozenset({"ollama", "ollama_chat", "llamafile", "lm_studio"})
_FIREWORKS: Final = "accounts/fireworks/models/"


def upstream_name(prefix: str, model: str) -> str:
    """What LiteLLM makes of the name when it sends it."""
    return model if prefix != "fireworks_ai" or model.startswith("accounts/") else _FIREWORKS + model


def remarks(prefix: str, *, address_given: bool, patient: bool = False) -> list[str]:
    """What a person must look at. `patient` says that a timeout is given."""
    found = [_SPOKEN_TO_OTHERWISE[prefix]] if prefix in _SPOKEN_TO_OTHERWISE else []
    if prefix in _LOADED_WHEN_ASKED and not patient:
        found.append(
            "a stream waits 20 s for its first token: give it a longer `timeout` if its models are loaded when asked"
        )
    address, key = COMPATIBLE.get(prefix, ("", ""))
    if address and not key and not address_given:
        variable = f"{prefix.removesuffix('_chat').upper()}_API_BASE"
        found.append(f"without api_base it is asked at {address}; look whether {variable} said otherwise")
    return found
