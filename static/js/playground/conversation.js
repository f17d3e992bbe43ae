// A conversation in OpenAI's shape, and an answer put together from the pieces it comes in. No page is known here.
export function userMessage(text, images) {
  if (!images.length) return { role: "user", content: text };
  const parts = images.map(({ url }) => ({ type: "image_url", image_url: { url } }));
  return { role: "user", content: text ? [{ type: "text", text }, ...parts] : parts };
}

export const textOf = ({ content }) =>
  typeof content === "string" ? content : (content ?? []).map((part) => part.text ?? "").join("");

export const imagesOf = ({ content }) =>
  Array.isArray(content) ? content.filter((part) => part.image_url).map((part) => ({ url: part.image_url.url, name: "" })) : [];

export const callName = (call) => call[call.type]?.name ?? "";
export const callArguments = (call) => call[call.type]?.arguments ?? call[call.type]?.input ?? "";

const SHOWN = 48;

// With only the beginning of each image; the same message when there is nothing to leave out.
export function withoutImages(message) {
  const long = (part) => part.image_url?.url.startsWith("data:") && part.image_url.url.length > 4 * SHOWN;
  if (!Array.isArray(message.content) || !message.content.some(long)) return message;
  const shortened = (part) => ({ ...part, image_url: { url: `${part.image_url.url.slice(0, SHOWN)}…` } });
  return { ...message, content: message.content.map((part) => (long(part) ? shortened(part) : part)) };
}

// The calls of tools that wait for their results: a model is not asked again before it has all of them.
export const openCalls = (messages) => messages.at(-1)?.tool_calls ?? [];

export const toolMessage = (call, content) => ({ role: "tool", tool_call_id: call.id, content });

// Without what was answered last: what was asked for.
export function lastRequest(messages) {
  const end = messages.findLastIndex((message) => message.role !== "assistant");
  return messages.slice(0, end + 1);
}

export class Answer {
  text = "";
  thoughts = "";
  calls = [];
  #details = [];

  // Whether anything came that a reader waits for.
  take(chunk) {
    const delta = chunk.choices?.[0]?.delta ?? chunk.choices?.[0]?.message;
    if (!delta) return false;
    const thoughts = delta.reasoning_content ?? delta.reasoning;
    if (typeof thoughts === "string") this.thoughts += thoughts;
    const text = (delta.content ?? "") + (delta.refusal ?? "");
    this.text += text;
    delta.tool_calls?.forEach((piece, position) => this.#call(piece, position));
    delta.reasoning_details?.forEach((piece, position) => this.#detail(piece, position));
    return Boolean(text || thoughts || delta.tool_calls?.length);
  }

  #call(piece, position) {
    const call = (this.calls[piece.index ?? position] ??= { id: "", type: piece.type ?? "function" });
    if (piece.id) call.id = piece.id;
    const inner = piece[call.type];
    if (!inner) return;
    const written = call.type === "custom" ? "input" : "arguments";
    const known = (call[call.type] ??= { name: "", [written]: "" });
    if (inner.name) known.name = inner.name;
    known[written] += inner[written] ?? "";
  }

  #detail({ index, ...piece }, position) {
    const known = (this.#details[index ?? position] ??= { ...piece, text: undefined });
    Object.assign(known, piece, piece.text == null ? {} : { text: (known.text ?? "") + piece.text });
  }

  // What stands for it in the conversation; null when there is nothing to go on with. A call that was cut off is none.
  message({ cut = false } = {}) {
    const calls = cut ? [] : this.calls.filter(Boolean);
    if (!this.text && !calls.length) return null;
    const message = { role: "assistant", content: this.text || null };
    if (!calls.length) return message;
    // Who thinks before calling a tool wants to see its signed thoughts again with the result.
    const signed = this.#details.filter((detail) => detail && (detail.signature || detail.data));
    return { ...message, ...(signed.length ? { reasoning_details: signed } : {}), tool_calls: calls };
  }
}
