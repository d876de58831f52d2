// What is on the screen. Text from people goes in as text (textContent), never as HTML.

export const $ = (id) => document.getElementById(id);

const clock = new Intl.DateTimeFormat([], { hour: "numeric", minute: "2-digit" });
const TICKS = {
  sending: ["M10 5.5V10l3 2M10 3a7 7 0 1 1 0 14 7 7 0 0 1 0-14", "Sending"],
  sent: ["m4.5 10.5 4 4 7-9", "Sent"],
  delivered: ["m1.5 10.5 4 4 7-9M9.5 14l.5.5 7-9", "Delivered"],
  failed: ["M10 5v6M10 14.5v.01M10 2.5a7.5 7.5 0 1 1 0 15 7.5 7.5 0 0 1 0-15", "Not sent"],
};

function make(tag, attributes = {}, ...children) {
  const element = Object.assign(document.createElement(tag), attributes);
  element.append(...children);
  return element;
}

function icon(path) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("aria-hidden", "true");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

/** A disc with the first letter of a name, in a colour that belongs to the name. */
function avatar(name) {
  let hash = 0;
  for (const letter of name.toLowerCase()) hash = (hash * 31 + letter.codePointAt(0)) % 360;
  const disc = make("span", { className: "avatar", ariaHidden: "true", textContent: [...name][0].toUpperCase() });
  disc.style.setProperty("--hue", hash);
  return disc;
}

// The list of messages

export const atEnd = () => $("log").scrollHeight - $("log").scrollTop - $("log").clientHeight < 80;

export function scrollToLatest() {
  $("log").scrollTop = $("log").scrollHeight;
  $("latest").hidden = true;
}

/** Add an item above those that are still being sent; stay at the end if the reader is there, else offer the way. */
function add(item, { mine = false } = {}) {
  const follow = mine || atEnd();
  $("empty").hidden = true;
  $("messages").insertBefore(item, mine ? null : $("messages").querySelector("[data-tick=sending]"));
  if (follow) scrollToLatest();
  else $("latest").hidden = item.className === "notice";
}

/** Add many at once: a screen reader does not read them all out. */
export function quietly(fill) {
  $("log").setAttribute("aria-busy", "true");
  fill();
  setTimeout(() => $("log").removeAttribute("aria-busy"));
}

export const findMessage = (id) => $("messages").querySelector(`[data-id="${CSS.escape(id)}"]`);

export function addMessage({ id, name, text, at }, mine) {
  const time = make("time", { textContent: clock.format(at), dateTime: new Date(at).toISOString() });
  const item = make("li", { className: mine ? "message mine" : "message" },
    make("div", { className: "who" }, avatar(name), make("span", { className: "name", textContent: name })),
    make("div", { className: "bubble", dir: "auto" },
      make("p", { className: "text", textContent: text }),
      make("p", { className: "meta" }, time)));
  Object.assign(item.dataset, { id, name });
  add(item, { mine });
  const before = item.previousElementSibling;
  if (before?.dataset.name === name) item.classList.add("more");
  return item;
}

export function addNotice(text) {
  add(make("li", { className: "notice", textContent: text }));
}

/** Show how far one of our messages has come; a failed one gets a button that calls `again`. */
export function setTick(item, tick, reason = "", again = null) {
  const [path, words] = TICKS[tick];
  const label = make("span", { className: "hidden", textContent: words });
  const mark = make("span", { className: "tick", title: words }, icon(path), label);
  item.dataset.tick = tick;
  item.querySelector(".tick")?.remove();
  item.querySelector(".failure")?.remove();
  item.querySelector(".meta").append(mark);
  if (!again) return;
  const retry = make("button", { type: "button", textContent: "Try again", onclick: again });
  item.querySelector(".bubble").after(make("p", { className: "failure" }, `${reason} `, retry));
}

export function setTime(item, at) {
  const time = item.querySelector("time");
  time.textContent = clock.format(at);
  time.dateTime = new Date(at).toISOString();
}

export function clearMessages() {
  $("messages").replaceChildren();
  $("empty").hidden = false;
  $("latest").hidden = true;
}

// Around it

export function showRoom(room) {
  $("title").textContent = room;
  document.title = `${room} · Roomcast chat`;
}

export function showPeople(names, me) {
  $("count").textContent = names.length === 1 ? "Only you are here" : `${names.length} people`;
  $("people").replaceChildren(...names.map((name) => {
    const item = make("li", {}, avatar(name), make("span", { className: "name", textContent: name }));
    if (name === me) item.append(make("span", { className: "you", textContent: "you" }));
    return item;
  }));
}

export function showRooms(rooms, current, go) {
  $("rooms").replaceChildren(...rooms.map((room) => {
    const button = make("button", { type: "button", textContent: room, onclick: () => go(room) });
    if (room === current) button.setAttribute("aria-current", "true");
    return make("li", {}, button);
  }));
}

/** Which node we are on, and how large the cluster is. */
export function showCluster({ node, nodes, online }) {
  const size = nodes === 1 ? "1 node" : `${nodes} nodes`;
  $("cluster").textContent = `Node ${node} · ${online} online on ${size}`;
}

export function showTyping(names) {
  const who = names.length > 2 ? "Several people are" : names.length === 2 ? `${names[0]} and ${names[1]} are` : `${names[0]} is`;
  $("typing").textContent = names.length ? `${who} typing` : "";
}

export function showState(state, words, detail = "") {
  $("state").dataset.state = state;
  $("state").textContent = words;
  $("state").title = detail;
}

/** Show the chat, or the gate in front of it with what went wrong. */
export function showChat(open, problem = "") {
  $("gate").hidden = open;
  $("chat").hidden = !open;
  $("problem").textContent = problem;
  if (!open) document.title = "Roomcast chat";
}

export function toggleSide(open) {
  $("side").classList.toggle("open", open);
  $("menu").setAttribute("aria-expanded", open);
  if (open) $("side").querySelector("button").focus();
  else if ($("side").contains(document.activeElement)) $("menu").focus();
}
