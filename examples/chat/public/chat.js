// The chat page: what the person does goes to the server, what the server says goes to the screen (view.js).

import { loadClient } from "./client.js";
import * as view from "./view.js";
import { $ } from "./view.js";

const TYPING_EVERY = 2000; // ms between two "still typing"
const TYPING_LASTS = 4000; // ms until somebody who went silent no longer types

const randomId = () => crypto.getRandomValues(new Uint32Array(4)).join("-");
const recall = (store, key, otherwise) => JSON.parse(store.getItem(key)) ?? otherwise;
const roomInAddress = () => new URLSearchParams(`room=${location.hash.slice(1)}`).get("room") || "lobby"; // never throws
const remember = (store, key, value) => store.setItem(key, JSON.stringify(value));

// Who we are belongs to the tab. The key shows the server that a name that comes back is the same browser.
const me = recall(sessionStorage, "me", { name: "", room: "", key: randomId() });
const typists = new Map(); // name -> timer that ends it
let visited = recall(localStorage, "rooms", []);
let version = 0; // of the list of people that is shown
let socket = null;
let typingSince = 0;

// The connection

function connect(io) {
  socket = io({
    auth: (send) => send(me), // asked again at every reconnection: name and room come back by themselves
    retries: 5, // what was said is repeated until the server has answered, also after a break
    ackTimeout: 5000,
    reconnectionDelay: 500,
    reconnectionDelayMax: 3000,
    forceNew: true,
  });
  socket.on("connect", showConnected);
  socket.on("connect_error", onRefused);
  socket.on("disconnect", onDisconnect);
  socket.on("welcome", onWelcome);
  socket.on("people", onPeople);
  socket.on("message", onMessage);
  socket.on("delivered", onDelivered);
  socket.on("typing", onTyping);
  socket.on("cluster", view.showCluster);
  socket.on("replaced", () => leave("You went on in another tab."));
}

function showConnected() {
  const { engine } = socket.io;
  const over = () => view.showState("online", "Connected", `over ${engine.transport.name}`);
  engine.on("upgrade", over);
  over();
}

function onRefused(error) {
  if (socket.active) view.showState("waiting", "Reconnecting…", error.message); // no way to the server, for now
  else leave(error.message); // the server said no
}

function onDisconnect(reason) {
  forgetTypists();
  if (!socket) return; // we left
  view.showState("waiting", navigator.onLine ? "Reconnecting…" : "Offline");
  if (reason === "io server disconnect") socket.connect(); // the only reason after which the client waits to be asked
}

function leave(problem = "") {
  const left = socket;
  socket = null;
  left?.disconnect();
  forgetTypists();
  view.toggleSide(false);
  view.clearMessages();
  view.showChat(false, problem);
  me.room = "";
  remember(sessionStorage, "me", me);
  $("name").focus();
}

// What the server says

function onWelcome({ room, name, people, messages, cluster, ...news }) {
  if ($("title").textContent !== room) view.clearMessages();
  Object.assign(me, { room, name });
  remember(sessionStorage, "me", me);
  visited = [room, ...visited.filter((other) => other !== room)].slice(0, 8);
  remember(localStorage, "rooms", visited);
  history.replaceState(null, "", `#${encodeURIComponent(room)}`);
  forgetTypists();
  view.showChat(true);
  view.showRoom(room);
  view.showRooms([...visited].sort(), room, goTo);
  version = news.version;
  view.showPeople(people, name);
  view.showCluster(cluster);
  view.quietly(() => {
    for (const message of messages) {
      if (!view.findMessage(message.id)) showMessage(message);
    }
  });
  if (matchMedia("(pointer: fine)").matches) $("text").focus(); // on a phone that would raise the keyboard
}

function onPeople({ room, people, joined, left, ...news }) {
  if (room !== me.room) return; // of one that we are just leaving or entering
  if (news.version > version) { // news from two nodes may overtake each other
    version = news.version;
    view.showPeople(people, me.name);
  }
  if (joined) view.addNotice(`${joined} joined`);
  if (left) view.addNotice(`${left} left`);
  if (left) onTyping({ name: left, active: false });
}

function onMessage(message, confirm) {
  if (!view.findMessage(message.id)) showMessage(message);
  onTyping({ name: message.name, active: false });
  confirm?.(); // a worker that only emits (docker-compose.yml) asks for none
}

function onDelivered(id) {
  const item = view.findMessage(id);
  if (item) view.setTick(item, "delivered");
}

function onTyping({ name, active }) {
  clearTimeout(typists.get(name));
  if (active) typists.set(name, setTimeout(() => onTyping({ name, active: false }), TYPING_LASTS));
  else typists.delete(name);
  view.showTyping([...typists.keys()]);
}

function forgetTypists() {
  for (const timer of typists.values()) clearTimeout(timer);
  typists.clear();
  view.showTyping([]);
}

// What the person does

function showMessage(message) {
  const mine = message.name === me.name;
  const item = view.addMessage(message, mine);
  if (mine) view.setTick(item, message.delivered ? "delivered" : "sent");
}

function say(text) {
  const message = { id: randomId(), name: me.name, text, at: Date.now() };
  transmit(view.addMessage(message, true), message);
  setTyping(false);
}

function transmit(item, message) {
  view.setTick(item, "sending");
  socket.emit("message", { id: message.id, text: message.text }, (error, answer) => {
    if (error || answer.error) {
      view.setTick(item, "failed", answer?.error ?? "No answer.", () => transmit(item, message));
    } else {
      view.setTime(item, answer.at);
      if (item.dataset.tick === "sending") view.setTick(item, "sent"); // "delivered" may have overtaken the answer
    }
  });
}

function setTyping(active) {
  const due = active ? Date.now() - typingSince > TYPING_EVERY : typingSince > 0;
  if (!due || !socket) return;
  typingSince = active ? Date.now() : 0;
  socket.volatile.emit("typing", active); // not kept for later when there is no connection
}

function goTo(room) {
  view.toggleSide(false);
  if (room === me.room || !socket) return;
  setTyping(false);
  socket.emit("join", room, (error, answer) => {
    const problem = error ? "No answer." : answer.error;
    if (problem) view.addNotice(problem);
    else $("text").focus();
  });
}

function submit() {
  const text = $("text").value.trim();
  $("text").focus();
  if (!text || !socket) return;
  $("text").value = "";
  fit();
  say(text);
}

function fit() {
  $("text").style.height = "auto";
  $("text").style.height = `${$("text").scrollHeight}px`;
}

async function enter() {
  Object.assign(me, { name: $("name").value.trim(), room: $("room").value.trim() });
  const missing = !me.name ? "name" : !me.room ? "room" : null;
  if (missing) {
    $("problem").textContent = missing === "name" ? "Please tell us your name." : "Please name a room.";
    $(missing).focus();
    return;
  }
  $("problem").textContent = "";
  try {
    connect(await loadClient());
  } catch {
    $("problem").textContent = "The Socket.IO client cannot be loaded: no npm package here, and no way to the CDN.";
  }
}

$("enter").onsubmit = (event) => {
  event.preventDefault();
  if (!socket) enter();
};
$("say").onsubmit = (event) => {
  event.preventDefault();
  submit();
};
$("other").onsubmit = (event) => {
  event.preventDefault();
  goTo($("other-room").value.trim());
  event.target.reset();
};
$("text").onkeydown = (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  submit();
};
$("text").oninput = () => {
  fit();
  setTyping($("text").value.trim() !== "");
};
$("leave").onclick = () => leave();
$("menu").onclick = () => view.toggleSide(!$("side").classList.contains("open"));
$("veil").onclick = () => view.toggleSide(false);
$("latest").onclick = view.scrollToLatest;
$("log").onscroll = () => {
  if (view.atEnd()) $("latest").hidden = true;
};
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") view.toggleSide(false);
});

window.addEventListener("hashchange", () => {
  if (me.room) goTo(roomInAddress());
  else $("room").value = roomInAddress();
});

$("name").value = me.name;
$("room").value = me.room || roomInAddress();
if (me.name && me.room) enter(); // the page was reloaded: straight back in
else $("name").focus();
