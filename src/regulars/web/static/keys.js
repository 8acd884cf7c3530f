// Single keys for those who like them; the list is at the foot of every page and under "?".
// They are off while somebody types, and for good where the box in that list is unticked.

const PAGES = { a: "/activity", u: "/users", m: "/models", r: "/routing", i: "/identifiers", k: "/keys" };
const SEQUENCE_MS = 1500;
const STORED = "regulars-keys";

export function wireKeys() {
  const help = document.getElementById("shortcuts");
  if (!help) return;
  const box = help.querySelector("input");
  box.checked = allowed();
  help.hidden = false;
  box.addEventListener("change", () => remember(box.checked));
  let wentAt = 0;
  document.addEventListener("keydown", (event) => {
    if (!box.checked || event.ctrlKey || event.metaKey || event.altKey || types(event.target)) return;
    const went = event.timeStamp - wentAt < SEQUENCE_MS;
    wentAt = 0;
    if (went && PAGES[event.key]) location.assign(PAGES[event.key]);
    else if (event.key === "g") wentAt = event.timeStamp;
    else if (event.key === "l") document.querySelector("[data-live-toggle]")?.click();
    else if (event.key === "/") focus(event, document.querySelector("input[type=search]"));
    else if (event.key === "?") {
      help.open = true;
      focus(event, help.querySelector("summary"));
      help.scrollIntoView({ block: "end" });
    }
  });
}

function focus(event, element) {
  if (!element) return;
  event.preventDefault(); // or the key itself would be typed
  element.focus();
}

function types(target) {
  return target.closest("input:not([type=checkbox]), select, textarea") !== null;
}

function allowed() {
  try {
    return localStorage.getItem(STORED) !== "off";
  } catch {
    return true; // storage is switched off
  }
}

function remember(on) {
  try {
    localStorage.setItem(STORED, on ? "on" : "off");
  } catch {
    // Kept for this page only.
  }
}
