// Reads a chart bar by bar, with the pointer or the arrow keys. The figures come from the
// table under the chart, so that both always say the same.

export function readCharts() {
  for (const chart of document.querySelectorAll("[data-chart]")) read(chart);
}

function read(chart) {
  const table = chart.parentElement.querySelector("[data-figures]");
  const plot = chart.querySelector(".plot");
  const cursor = chart.querySelector(".cursor");
  const tip = chart.querySelector(".tip");
  const heads = [...table.tHead.rows[0].cells].slice(1, -1);
  const rows = [...table.tBodies[0].rows];
  let at = -1;

  const show = (index) => {
    if (index === at) return;
    at = index;
    cursor.setAttribute("x", `${(index * 100) / rows.length}%`);
    cursor.setAttribute("visibility", "visible");
    tip.replaceChildren(...lines(rows[index], heads));
    tip.hidden = false;
    place(index);
  };
  const place = (index) => {
    const area = plot.getBoundingClientRect();
    const frame = chart.getBoundingClientRect();
    const middle = area.left - frame.left + ((index + 0.5) * area.width) / rows.length;
    const gap = area.width / rows.length / 2 + 8;
    const right = middle + gap + tip.offsetWidth <= frame.width;
    const left = right ? middle + gap : middle - gap - tip.offsetWidth;
    tip.style.left = `${Math.max(0, Math.min(left, frame.width - tip.offsetWidth))}px`;
  };
  const hide = () => {
    at = -1;
    cursor.setAttribute("visibility", "hidden");
    tip.hidden = true;
  };

  plot.addEventListener("pointermove", (event) => {
    const area = plot.getBoundingClientRect();
    const index = Math.floor(((event.clientX - area.left) / area.width) * rows.length);
    show(Math.max(0, Math.min(rows.length - 1, index)));
  });
  chart.addEventListener("pointerleave", hide);
  chart.addEventListener("blur", hide);
  chart.addEventListener("keydown", (event) => {
    const last = rows.length - 1;
    const next = { ArrowLeft: at < 0 ? last : at - 1, ArrowRight: at + 1, Home: 0, End: last }[event.key];
    if (event.key === "Escape") hide();
    if (next === undefined) return;
    event.preventDefault();
    show(Math.max(0, Math.min(last, next)));
  });
}

function lines(row, heads) {
  const cells = [...row.cells].map((cell) => cell.textContent);
  const made = [line("when", "", cells[0], cells.at(-1))];
  heads.forEach((head, index) => {
    if (cells[index + 1]) made.push(line("", head.dataset.colour, head.textContent, cells[index + 1]));
  });
  return made;
}

function line(kind, colour, name, figure) {
  const whole = document.createElement("div");
  whole.className = kind;
  if (colour) {
    const dot = document.createElement("i");
    dot.className = `dot ${colour}`;
    whole.append(dot);
  }
  const label = document.createElement("bdi");
  label.textContent = name;
  const value = document.createElement("b");
  value.textContent = figure;
  whole.append(label, value);
  return whole;
}
