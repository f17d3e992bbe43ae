// Where bars begin and how long they are, in per cent. The server says it, but the pages' policy allows no style attributes.
for (const each of document.querySelectorAll("[data-left]")) each.style.left = `${each.dataset.left}%`;
for (const each of document.querySelectorAll("[data-width]")) each.style.width = `${each.dataset.width}%`;
