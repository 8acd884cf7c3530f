// Keeps a page fresh: asks a tiny route whether anything happened, and only then fetches the
// page again. Stops while the page is hidden.

const EVERY_MS = 3000;
const EVERY_MAX_MS = 60000; // after failures the pause doubles up to this

export function follow(wire) {
  const first = document.querySelector("[data-live]");
  if (!first) return;
  let mark;
  let pause = EVERY_MS;
  let timer = 0;

  const region = () => document.querySelector("[data-live]");
  const wanted = () => "liveAlways" in region().dataset || sessionStorage.getItem("regulars-live") === "on";
  const plan = () => {
    clearTimeout(timer);
    if (wanted() && !document.hidden) timer = setTimeout(look, pause);
  };
  const look = async () => {
    try {
      const answer = await fetch(region().dataset.live, { headers: { Accept: "application/json" } });
      if (answer.status === 401) return location.reload(); // the session is over
      if (!answer.ok) throw new Error(`pulse: ${answer.status}`);
      const now = (await answer.json()).mark;
      if (mark !== undefined && now !== mark) await renew(region(), wire);
      mark = now;
      pause = EVERY_MS;
    } catch {
      pause = Math.min(pause * 2, EVERY_MAX_MS);
    }
    plan();
  };

  document.addEventListener("click", (event) => {
    const toggle = event.target.closest("[data-live-toggle]");
    if (!toggle) return;
    sessionStorage.setItem("regulars-live", wanted() ? "off" : "on");
    dress();
    if (wanted()) look();
    else clearTimeout(timer);
  });
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (!document.hidden && wanted()) look();
  });
  dress();
  if (wanted()) look();
}

function dress() {
  const toggle = document.querySelector("[data-live-toggle]");
  if (!toggle) return;
  toggle.hidden = false;
  toggle.setAttribute("aria-pressed", String(sessionStorage.getItem("regulars-live") === "on"));
}

async function renew(region, wire) {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok || answer.redirected) throw new Error(`page: ${answer.status}`);
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const next = fresh.querySelector("[data-live]");
  if (!next) throw new Error("page: nothing live in it");
  const open = [...region.querySelectorAll("details[open][id]")].map((each) => each.id);
  if (region.querySelector("details.menu[open]")) return; // somebody is filling in a form
  const focused = document.activeElement?.id;
  if ("liveAlways" in region.dataset && !("liveAlways" in next.dataset)) {
    // The first row is here: stay live, so that the next ones show up as well.
    sessionStorage.setItem("regulars-live", "on");
    document.title = fresh.title;
  }
  region.replaceWith(document.adoptNode(next));
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  dress();
  wire();
}
