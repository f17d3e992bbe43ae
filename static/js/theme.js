// Runs before the first paint. The admin keeps the choice under the same name, so both follow one switch.
(() => {
  const KEY = "adminTheme";
  const read = () => {
    try {
      return JSON.parse(localStorage.getItem(KEY)) || "auto";
    } catch {
      return "auto";
    }
  };
  const apply = (theme) => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    document.dispatchEvent(new Event("themechange"));
  };
  apply(read());
  window.addEventListener("storage", (event) => event.key === KEY && apply(read()));
  document.addEventListener("DOMContentLoaded", () => {
    const button = document.querySelector("[data-theme-toggle]");
    if (!button) return;
    const label = () => {
      const words = button.dataset[read()];
      button.title = words;
      button.setAttribute("aria-label", words);
    };
    label();
    button.addEventListener("click", () => {
      const order = ["auto", "light", "dark"];
      const next = order[(order.indexOf(read()) + 1) % order.length];
      try {
        localStorage.setItem(KEY, JSON.stringify(next));
      } catch {
        // Storage may be forbidden; the choice then lasts for this page.
      }
      apply(next);
      label();
    });
  });
})();
