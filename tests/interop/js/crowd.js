"use strict";
// Many official clients in one process, which stay connected, count what they hear and note what happens to them:
//   node crowd.js '{"client":"socket.io-client","groups":[{"name":"a","url":"http://…","transport":"polling","count":70}]}'
// A line of JSON on standard input is a command ({"do":"status"}), and each is answered by one line. Nothing is judged here.

const readline = require("node:readline");

const TRANSPORTS = { polling: ["polling"], websocket: ["websocket"], upgrade: ["polling", "websocket"] };
const STAGGER_MS = 5; // between two clients: a thousand at once is another test
const settings = JSON.parse(process.argv[2]);
const { io } = require(settings.client);
const members = [];

/** Seconds on the monotonic clock, which is Python's too. */
const now = () => Number(process.hrtime.bigint() / 1000n) / 1e6;

/** The HTTP status in an error of the client, or null; and its words. */
function described(error) {
  if (!error) return { status: null, text: "" };
  const inner = error.description;
  const text = [error.message, inner && inner.message, inner && inner.error && inner.error.message].filter(Boolean).join(": ");
  const found = typeof inner === "number" ? inner : /Unexpected server response: (\d{3})/.exec(text)?.[1];
  return { status: found ? Number(found) : null, text };
}

class Member {
  constructor(group) {
    this.group = group;
    this.history = []; // [seconds, what, tag, more]
    this.tag = null;
    this.connections = 0;
    this.last = null; // the number of the last tick
    this.heardOn = 0; // the connection that it came on
    this.ticks = 0;
    this.gaps = []; // [first, last, within one connection]
    this.repeats = 0;
    this.words = {};
    this.pings = 0;
    this.asked = 0;
    this.answered = 0;
    this.socket = io(group.url, {
      transports: TRANSPORTS[group.transport],
      forceNew: true,
      auth: { group: group.name },
    });
    this.socket.on("connect", () => this.connected());
    this.socket.on("disconnect", (reason, details) => this.note("disconnect", { reason, ...described(details) }));
    this.socket.on("connect_error", (error) => this.note("error", described(error)));
    this.socket.io.on("ping", () => (this.pings += 1));
    this.socket.io.on("open", () => this.opened(this.socket.io.engine));
    this.socket.on("tick", (number) => this.tick(number));
    this.socket.on("words", (name, number) => (this.words[name] ||= []).push(number));
  }

  note(what, more = {}) {
    this.history.push([now(), what, this.tag, more]);
  }

  opened(engine) {
    engine.on("upgrade", () => this.note("upgrade"));
    engine.on("upgradeError", (error) => this.note("upgrade error", described(error)));
  }

  connected() {
    this.connections += 1;
    this.tag = this.socket.io.engine.id.slice(0, 4);
    this.note("connect", { transport: this.socket.io.engine.transport.name });
  }

  tick(number) {
    this.ticks += 1;
    if (this.last !== null && number <= this.last) {
      this.repeats += 1;
      return;
    }
    if (this.last !== null && number > this.last + 1) {
      this.gaps.push([this.last + 1, number - 1, this.heardOn === this.connections]);
    }
    this.last = number;
    this.heardOn = this.connections;
  }

  ask() {
    if (!this.socket.connected) return;
    this.asked += 1;
    this.socket.emit("echo", this.asked, () => (this.answered += 1));
  }

  report() {
    const { group, history, last, ticks, gaps, repeats, words, asked, answered } = this;
    return { group: group.name, transport: group.transport, history, last, ticks, gaps, repeats, words, asked, answered };
  }
}

const commands = {
  /** Who is connected where, and by what, at this moment. */
  status() {
    return members.map(({ socket, tag, group, last, pings, asked, answered }) => ({
      group: group.name,
      connected: socket.connected,
      tag: socket.connected ? tag : null,
      transport: socket.connected ? socket.io.engine.transport.name : null,
      last,
      pings,
      asked,
      answered,
    }));
  },
  report: () => members.map((member) => member.report()),
  /** Let one client say something. */
  emit({ member, args }) {
    members[member].socket.emit(...args);
    return null;
  },
};

function main() {
  let delay = 0;
  for (const group of settings.groups) {
    for (let number = 0; number < group.count; number++) setTimeout(() => members.push(new Member(group)), (delay += STAGGER_MS));
  }
  const asking = settings.ask_ms && setInterval(() => members.forEach((member) => member.ask()), settings.ask_ms);
  const lines = readline.createInterface({ input: process.stdin });
  lines.on("line", (line) => {
    const command = JSON.parse(line);
    process.stdout.write(JSON.stringify(commands[command.do](command)) + "\n");
  });
  lines.on("close", () => {
    // Everybody says goodbye; the process ends when that is written.
    clearInterval(asking);
    members.forEach((member) => member.socket.disconnect());
  });
}

main();
