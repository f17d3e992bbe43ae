// The admin's frame for keyboards and screen readers: icons are pictures, not words, and what can be clicked can be reached.
(() => {
  const NATIVE = "a[href], button, input, select, textarea, label, summary";

  const NAVIGATION = document.documentElement.lang.startsWith("pt") ? "Navegação" : "Navigation";

  const hush = (icon) => {
    if (icon.hasAttribute("tabindex")) return;
    const owner = icon.closest("a, button, [role=button], label, li, h2, h3") || icon.parentElement;
    const text = [...(owner?.childNodes || [])].some((node) => node !== icon && node.textContent.trim());
    if (text || owner?.title || owner?.getAttribute("aria-label")) icon.setAttribute("aria-hidden", "true");
  };

  const reach = (element) => {
    if (element.matches(NATIVE) || element.hasAttribute("tabindex") || element.querySelector(NATIVE)) return;
    element.tabIndex = 0;
    element.setAttribute("role", "button");
    if (element.textContent.trim() === "dock_to_right") {
      element.setAttribute("aria-label", NAVIGATION);
    }
    element.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      element.click();
    });
  };

  // On a phone a list's labels stand before its values, each word of them with a capital, which is wrong in Portuguese.
  const begin = (cell) => (cell.dataset.label = cell.dataset.label.charAt(0).toUpperCase() + cell.dataset.label.slice(1));

  const tend = (root) => {
    root.querySelectorAll("#result_list [data-label]").forEach(begin);
    root.querySelectorAll("[x-on\\:click]").forEach(reach);
    root.querySelectorAll(".material-symbols-outlined").forEach(hush);
  };

  // Select2 hides the real field and gives its own no name.
  const name = () => {
    for (const box of document.querySelectorAll(".select2-selection")) {
      const field = box.closest(".select2")?.previousElementSibling;
      const label = field?.id && document.querySelector(`label[for="${field.id}"]`);
      if (!label) continue;
      for (const part of [box, ...box.querySelectorAll('[role=textbox]')]) part.setAttribute("aria-label", label.textContent.trim());
    }
  };

  document.addEventListener("DOMContentLoaded", () => {
    document.getElementById("main")?.setAttribute("role", "main");
    tend(document.body);
  });
  // simplebar calls each of its boxes "scrollable content", in every language.
  const nameBoxes = () => {
    for (const box of document.querySelectorAll(".simplebar-content-wrapper")) {
      const words = box.closest("#nav-sidebar, #nav-sidebar-inner, #nav-sidebar-apps") ? NAVIGATION : document.querySelector("h1")?.textContent.trim();
      if (words) box.setAttribute("aria-label", words);
    }
  };

  window.addEventListener("load", () => setTimeout(() => {
    name();
    nameBoxes();
  }));
  document.addEventListener("htmx:afterSwap", (event) => tend(event.target));
})();
