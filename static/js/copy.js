// <button data-copy="#id">: copies the text of #id and says so for a moment. A page that shows less than is to be copied
// sets the element's `wholeText`, a function.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.querySelector(button.dataset.copy);
  // Pressed once more while it still says so: the mark is not what it shall go back to.
  const words = (button.dataset.words ??= button.textContent);
  const text = source.wholeText?.() ?? source.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "✓";
  } catch {
    source.textContent = text;
    getSelection().selectAllChildren(source);
  }
  setTimeout(() => (button.textContent = words), 1500);
});
