// Keeps a page up to date: a `tick` on the body, on which htmx fetches the page again and morphs what has changed. A tab
// that nobody sees ticks not at all, and whoever reads can stop it.

const told = document.getElementById("told");
const pause = document.getElementById("pause");
const live = () => document.getElementById("live");
let timer = 0;
let isPaused = false;

function tick() {
  document.body.dispatchEvent(new CustomEvent("tick"));
  next();
}

function next() {
  clearTimeout(timer);
  const isWatched = document.visibilityState === "visible" && !isPaused && live();
  if (isWatched) timer = setTimeout(tick, Number(live().dataset.every));
}

function say(text) {
  if (told.textContent !== text) told.textContent = text;
}

pause?.addEventListener("click", () => {
  isPaused = !isPaused;
  pause.setAttribute("aria-pressed", String(isPaused));
  say(isPaused ? "Updates are paused." : "");
  next();
});
document.addEventListener("visibilitychange", () => (document.visibilityState === "visible" && !isPaused ? tick() : next()));
document.addEventListener("htmx:after:request", (event) => {
  const status = event.detail.ctx.response?.status ?? 0;
  if (isPaused && status < 400) return; // asked for before the pause
  say(status < 400 ? "" : `The service answered ${status}; what is shown may be old.`);
});
document.addEventListener("htmx:error", () => say("The service cannot be reached; what is shown may be old."));
next();
