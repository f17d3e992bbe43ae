// One WebSocket for all runs of the page, opened when there is something to say.
export function gatewaySocket(hear, lost) {
  let socket = null;

  function connected() {
    if (socket && socket.readyState < 2) return socket;
    const made = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/v1/chat/completions`);
    made.addEventListener("message", (event) => hear(JSON.parse(event.data)));
    made.addEventListener("close", async () => lost(await signedOut()));
    return (socket = made);
  }

  // A refused handshake tells a page nothing but that there is no connection; the page itself would lead to the login.
  async function signedOut() {
    const answer = await fetch(location.href, { redirect: "manual", cache: "no-store" }).catch(() => null);
    return answer?.type === "opaqueredirect";
  }

  return {
    say(message) {
      const line = connected();
      const text = JSON.stringify(message);
      if (line.readyState === 1) line.send(text);
      else line.addEventListener("open", () => line.send(text), { once: true });
    },
    // It was opened with the session that ended: who has logged in again needs another one.
    forget: () => socket?.close(),
  };
}
