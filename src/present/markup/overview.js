document.querySelectorAll("th[data-by]").forEach((head, column) => {
  const sort = () => {
    const body = head.closest("table").tBodies[0], up = head.getAttribute("aria-sort") !== "ascending";
    const key = row => { const cell = row.cells[column]; return cell.dataset.key ?? cell.textContent.trim(); };
    const numbers = head.dataset.by === "number";
    const order = (a, b) => numbers ? key(a) - key(b) : key(a).localeCompare(key(b));
    [...body.rows].sort((a, b) => up ? order(a, b) : order(b, a)).forEach(row => body.append(row));
    document.querySelectorAll("th[data-by]").forEach(other => other.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
  };
  head.querySelector("button").addEventListener("click", sort);
});
