// The box of tools: JSON in OpenAI's shape.
import { fill, setText } from "../format.js";

const EXAMPLE = [
  {
    type: "function",
    function: {
      name: "get_weather",
      description: "The weather in a city right now.",
      parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
    },
  },
];

const isTool = (tool) => Boolean(tool) && typeof tool === "object" && typeof tool[tool.type]?.name === "string";

function parsed(text, words) {
  let found;
  try {
    found = JSON.parse(text);
  } catch (error) {
    throw new Error(fill(words.tools_json, { reason: error.message }));
  }
  const tools = Array.isArray(found) ? found : [found];
  if (!tools.every(isTool)) throw new Error(words.tools_shape);
  return tools;
}

// `settings()`: fields of a request, none while what stands there are no tools. `check()` says beside the box what is wrong.
export function toolBox(parts, words, changed) {
  function look() {
    const text = parts.box.value.trim();
    try {
      return { tools: text ? parsed(text, words) : [], problem: "" };
    } catch (error) {
      return { tools: [], problem: error.message };
    }
  }

  function settings() {
    const { tools } = look();
    if (!tools.length) return {};
    return { tools, ...(parts.choice.value === "auto" ? {} : { tool_choice: parts.choice.value }) };
  }

  function check() {
    const { problem } = look();
    setText(parts.problem, problem);
    parts.box.setAttribute("aria-invalid", String(Boolean(problem)));
    return !problem;
  }

  parts.example.addEventListener("click", () => {
    parts.box.value = JSON.stringify(EXAMPLE, null, 2);
    check();
    changed();
    parts.box.focus();
  });
  parts.box.addEventListener("change", check);
  // Being told while one types that it is not JSON yet helps nobody; that it is now does.
  parts.box.addEventListener("input", () => parts.problem.textContent && check());
  return { settings, check };
}
