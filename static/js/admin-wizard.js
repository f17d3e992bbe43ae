// Filters the list of models as one types, and counts what is ticked.
const filter = document.querySelector("[data-filter-rows]");
const count = document.getElementById("ticked-count");
const table = document.getElementById("models");

const showCount = () => {
  if (!count || !table) return;
  const ticked = table.querySelectorAll("input[type=checkbox]:checked").length;
  count.textContent = `${ticked} ${count.dataset.words}`;
};

filter?.addEventListener("input", () => {
  const wanted = filter.value.trim().toLowerCase();
  for (const row of table.tBodies[0].rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
});
filter?.addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault());
table?.addEventListener("change", showCount);
showCount();
