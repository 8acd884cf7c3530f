// Everything here is an extra: the pages work without scripts.
import { readCharts } from "./chart.js";
import { wireKeys } from "./keys.js";
import { follow } from "./live.js";

function wireTheme() {
  const button = document.querySelector("[data-theme-toggle]");
  button.hidden = false;
  button.addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try {
      localStorage.setItem("regulars-theme", root.dataset.theme);
    } catch {
      // Kept for this page only.
    }
  });
}

function wireCopy() {
  if (!navigator.clipboard) return; // plain http beyond localhost has none
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent);
      button.textContent = "Copied";
    });
  }
}

function wireZones() {
  const mine = Intl.DateTimeFormat().resolvedOptions().timeZone;
  for (const button of document.querySelectorAll("[data-zone-mine]")) {
    button.hidden = !mine;
    button.textContent = `Use ${mine}`;
    button.addEventListener("click", () => {
      button.form.querySelector("[data-zone]").value = mine;
    });
  }
}

function wireMenus() {
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });
}

function wirePage() {
  readCharts();
  wireCopy();
  wireZones();
}

wireTheme();
wireMenus();
wireKeys();
wirePage();
follow(wirePage);
