// The request of the playground as a program.
const indented = (value, by) => JSON.stringify(value, null, 2).replace(/\n/g, `\n${" ".repeat(by)}`);

// JSON's null, true and false have other names in Python.
function python(value, by = 4) {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map((each) => python(each, by)).join(", ")}]`;
  if (typeof value === "object") return `{${Object.entries(value).map(([key, each]) => `${JSON.stringify(key)}: ${python(each, by)}`).join(", ")}}`;
  return JSON.stringify(value);
}

export function codeFor(language, origin, request) {
  if (language === "python") {
    const settings = Object.entries(request).filter(([name]) => name !== "messages");
    return `import os

from openai import OpenAI

client = OpenAI(base_url="${origin}/v1", api_key=os.environ["LLM_PROXY_KEY"])
stream = client.chat.completions.create(
${settings.map(([name, value]) => `    ${name}=${python(value)},`).join("\n")}
    messages=[
${request.messages.map((message) => `        ${python(message)},`).join("\n")}
    ],
)
for chunk in stream:
    if chunk.choices and chunk.choices[0].delta.content:
        print(chunk.choices[0].delta.content, end="", flush=True)
`;
  }
  if (language === "javascript") {
    return `import OpenAI from "openai";

const client = new OpenAI({ baseURL: "${origin}/v1", apiKey: process.env.LLM_PROXY_KEY });
const stream = await client.chat.completions.create(${indented(request, 0)});
for await (const chunk of stream) {
  process.stdout.write(chunk.choices[0]?.delta?.content ?? "");
}
`;
  }
  // Inside single quotes a shell changes nothing; a single quote itself has to leave them for a moment.
  const body = JSON.stringify(request, null, 2).replace(/'/g, `'\\''`);
  return `curl ${origin}/v1/chat/completions -N \\
  -H "Authorization: Bearer $LLM_PROXY_KEY" \\
  -H "Content-Type: application/json" \\
  -d '${body}'
`;
}
