// The request of the playground as a program, which prints what comes back as it comes.

// JSON's null, true and false have other names in Python. `indent`: how far the line stands that it begins on.
function python(value, indent) {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "object") return JSON.stringify(value);
  const list = Array.isArray(value);
  const entries = list ? value.map((each) => python(each, indent + 4)) : Object.entries(value).map(([key, each]) => `${JSON.stringify(key)}: ${python(each, indent + 4)}`);
  const [open, close] = list ? "[]" : "{}";
  const flat = `${open}${entries.join(", ")}${close}`;
  if (indent + flat.length <= 88 && !flat.includes("\n")) return flat;
  const space = " ".repeat(indent);
  return `${open}\n${entries.map((entry) => `${space}    ${entry},\n`).join("")}${space}${close}`;
}

const forPython = (origin, request) => `import os

from openai import OpenAI

client = OpenAI(base_url="${origin}/v1", api_key=os.environ["LLM_PROXY_KEY"])
stream = client.chat.completions.create(
${Object.entries(request).map(([name, value]) => `    ${name}=${python(value, 4)},`).join("\n")}
)
for chunk in stream:
    for choice in chunk.choices:
        print(choice.delta.content or "", end="", flush=True)
${request.tools ? `        for call in choice.delta.tool_calls or []:
            if call.function:
                print(call.function.name or "", call.function.arguments or "", sep="", end="")
` : ""}print()
`;

const forJavaScript = (origin, request) => `import OpenAI from "openai";

const client = new OpenAI({ baseURL: "${origin}/v1", apiKey: process.env.LLM_PROXY_KEY });
const stream = await client.chat.completions.create(${JSON.stringify(request, null, 2)});
for await (const chunk of stream) {
  const delta = chunk.choices[0]?.delta;
  process.stdout.write(delta?.content ?? "");
${request.tools ? `  for (const call of delta?.tool_calls ?? []) {
    process.stdout.write((call.function?.name ?? "") + (call.function?.arguments ?? ""));
  }
` : ""}}
`;

// A shell takes no argument as long as an image, but reads any length as input; what is between the words it leaves as it is.
const forShell = (origin, request) => `curl ${origin}/v1/chat/completions -N \\
  -H "Authorization: Bearer $LLM_PROXY_KEY" \\
  -H "Content-Type: application/json" \\
  --data-binary @- <<'JSON'
${JSON.stringify(request, null, 2)}
JSON
`;

const LANGUAGES = { curl: forShell, python: forPython, javascript: forJavaScript };

export const codeFor = (language, origin, request) => LANGUAGES[language](origin, request);
