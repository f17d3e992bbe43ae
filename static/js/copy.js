// <button data-copy="#id">: copies the text of #id and says so for a moment.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.querySelector(button.dataset.copy);
  // Pressed once more while it still says so: the mark is not what it shall go back to.
  const words = (button.dataset.words ??= button.textContent);
  try {
    await navigator.clipboard.writeText(source.textContent);
    button.textContent = "✓";
  } catch {
    getSelection().selectAllChildren(source);
  }
  setTimeout(() => (button.textContent = words), 1500);
});
