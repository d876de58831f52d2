"use strict";
// What the clients do. Each function gets a Stage (client.js) and tells what it saw.

const BYTES = Buffer.from([0, 1, 2, 253, 254, 255]);
const ORDERED = 100;

async function events(stage) {
  const socket = stage.socket("/", { auth: { tag: "é" } });
  const welcome = stage.event(socket, "welcome");
  await stage.event(socket, "connect");
  stage.saw("welcome", (await welcome)[0].auth);
  stage.saw("sid", socket.id);
  await stage.upgraded(socket);
  stage.saw("client transport", socket.io.engine.transport.name);
  stage.saw("server transport", (await stage.acked(socket, "transport"))[0]);
  for (const args of [[], ["text é 😀 \x1e \u2028"], [1, -2.5, Number.MAX_SAFE_INTEGER, null, true], [{ nested: [[], {}, ""] }, []]]) {
    socket.emit("echo", ...args);
    stage.saw("echo", await stage.event(socket, "echo"));
  }
  socket.send("hello");
  stage.saw("message", await stage.event(socket, "message"));
}

async function binary(stage) {
  const socket = await stage.connected();
  const several = { first: BYTES, list: [stage.settings.noEmpty ? BYTES : Buffer.alloc(0), "text", Buffer.from("second")] };
  for (const args of [[BYTES], [several, BYTES], [Buffer.alloc(70_000, 7)]]) {
    socket.emit("echo", ...args);
    stage.saw("echo", await stage.event(socket, "echo"));
  }
  // The MessagePack parser's encoding of an ArrayBuffer cannot be told from its dates; with Buffers there is no doubt.
  const buffer = stage.settings.parser ? BYTES : new Uint8Array([1]).buffer;
  stage.saw("types", await stage.acked(socket, "types", BYTES, several, buffer, "text"));
  stage.saw("ack", await stage.acked(socket, "same", BYTES, { deep: [BYTES] }));
}

async function acks(stage) {
  const socket = await stage.connected();
  for (const args of [[], [1], [1, "two", { three: [3] }], [[1, 2]], [null]]) {
    stage.saw("ack", await stage.acked(socket, "same", ...args));
  }
  socket.on("question", (question, answer) => (question === "nothing" ? answer() : answer(question, "because", BYTES)));
  for (const name of ["ask", "ask with callback"]) {
    for (const question of ["why", "nothing"]) {
      socket.emit(name, question);
      stage.saw("answered", (await stage.event(socket, "answered"))[0]);
    }
  }
}

async function namespaces(stage) {
  const main = await stage.connected();
  const first = await stage.connected("/room", { manager: main.io });
  const second = await stage.connected("/room");
  stage.saw("connections", new Set([main, first, second].map((socket) => socket.io.engine.id)).size);
  stage.saw("sids", new Set([main, first, second].map((socket) => socket.id)).size);
  stage.saw("joined", (await stage.acked(first, "join", "blue"))[0]);
  stage.saw("joined", (await stage.acked(second, "join", "blue"))[0]);
  first.on("said", (text) => stage.saw("first heard", text));
  second.on("said", (text) => stage.saw("second heard", text));
  await stage.acked(first, "say", "blue", "from first");
  await stage.acked(second, "say", "blue", "from second");
  await stage.acked(second, "say", "red", "to nobody");
  await stage.acked(first, "leave", "blue");
  await stage.acked(second, "say", "blue", "to nobody");
  stage.saw("same", await stage.acked(main, "same", "main is not disturbed"));
  const unknown = stage.socket("/nowhere", { manager: main.io });
  const [error] = await stage.event(unknown, "connect_error");
  stage.saw("unknown", error.message);
}

async function refusal(stage) {
  const socket = stage.socket("/", { auth: { refuse: "the weather" } });
  const [error] = await stage.event(socket, "connect_error");
  stage.saw("refused", { message: error.message, data: error.data, connected: socket.connected });
  socket.auth = { tag: "dry" };
  socket.connect();
  const [welcome] = await new Promise((resolve) => socket.once("welcome", (...args) => resolve(args)));
  stage.saw("welcome", welcome.auth);
}

async function order(stage) {
  // From the first moment, so that an upgrade happens in the middle of it.
  const socket = stage.socket();
  const sent = Array.from({ length: ORDERED }, (_, number) => (number % 10 === 5 ? Buffer.from([number]) : number));
  const received = [];
  const complete = new Promise((resolve) =>
    socket.on("echo", (value) => received.push(typeof value === "number" ? value : value[0]) === ORDERED && resolve()),
  );
  const connected = stage.event(socket, "connect");
  const half = sent.splice(ORDERED / 2);
  for (const value of sent) socket.emit("echo", value);
  await connected;
  for (const value of half) {
    socket.emit("echo", value);
    await new Promise(setImmediate);
  }
  await complete;
  stage.saw("received", received);
  await stage.upgraded(socket);
}

const ENDINGS = {
  leave: (socket) => socket.disconnect(),
  kick: (socket) => socket.emit("kick"),
  "close engine": (socket) => socket.io.engine.close(),
  "lose transport": (socket) => {
    const { transport } = socket.io.engine;
    if (transport.ws) transport.ws.terminate();
    else throw new Error("polling has no connection to lose");
  },
  "no pong": ({ io: { engine } }) => {
    // The method has a second name in newer versions.
    engine.sendPacket = engine._sendPacket = () => {};
  },
};

/** What the server says when this one has left. Clients of earlier scenarios may be missed at any time. */
function departure(observer, tag) {
  return new Promise((resolve) => {
    const listen = (left) => {
      if (left.tag !== tag) return;
      observer.off("left", listen);
      resolve(left);
    };
    observer.on("left", listen);
  });
}

async function reasons(stage) {
  const { endings } = stage.settings;
  const observer = await stage.connected("/observer");
  for (const ending of endings) {
    const socket = await stage.connected("/", { auth: { tag: ending } });
    const here = ending === "lose transport" ? null : stage.event(socket, "disconnect");
    const there = departure(observer, ending);
    ENDINGS[ending](socket);
    stage.saw("server", await there);
    if (here) stage.saw("client", { ending, reason: (await here)[0] });
  }
}

/** Begin the upgrade of a socket that was made with `upgrade: false`. The method has a second name in newer versions. */
function upgrade({ io: { engine } }) {
  (engine._probe || engine.probe).call(engine, "websocket");
}

/** The moments at which a client is dismissed, by what it asks for itself or while it knows nothing of it. */
const MOMENTS = {
  "just connected": async (stage, socket, other, dismiss) => {
    await stage.event(socket, "connect");
    dismiss(socket);
  },
  asking: async (stage, socket, other, dismiss) => {
    await stage.event(socket, "connect");
    await stage.upgraded(socket);
    dismiss(socket);
  },
  idle: async (stage, socket, other, dismiss) => {
    await stage.event(socket, "connect");
    await stage.upgraded(socket);
    await dismiss(other);
  },
  "upgrade began": async (stage, socket, other, dismiss) => {
    await stage.event(socket, "connect");
    upgrade(socket);
    await dismiss(other);
  },
  "upgrade probed": async (stage, socket, other, dismiss) => {
    await stage.event(socket, "connect");
    socket.io.engine.once("upgrading", () => dismiss(other));
    upgrade(socket);
  },
  // It polls no more, and what it says next, after the server has closed, is that it goes on with the WebSocket.
  "polling paused": async (stage, socket, other, dismiss) => {
    await stage.event(socket, "connect");
    const { transport } = socket.io.engine;
    const { pause } = transport;
    transport.pause = (paused) => pause.call(transport, () => dismiss(other).then(paused));
    upgrade(socket);
  },
};

async function farewells(stage) {
  const { moments, closes, byHand } = stage.settings;
  const other = await stage.connected("/");
  const observer = await stage.connected("/observer", { manager: other.io });
  const told = [];
  for (const moment of moments) {
    for (const close of closes) {
      const tag = `${moment}, ${close ? "and closed" : "only disconnected"}`;
      const socket = stage.socket("/", { auth: { tag }, upgrade: !byHand });
      const heard = [];
      for (const name of ["last words", "disconnect"]) socket.on(name, (...args) => heard.push([name, args[0]]));
      told.push({ tag, heard });
      const here = new Promise((resolve) => socket.once("disconnect", resolve));
      const there = departure(observer, tag);
      await MOMENTS[moment](stage, socket, other, (by) => stage.acked(by, "dismiss", socket.id, close));
      await here;
      stage.saw("server", await there);
    }
  }
  for (const client of told) stage.saw("client", client);
}

async function restart(stage) {
  const socket = stage.socket("/", { reconnection: true, reconnectionDelay: 50, reconnectionDelayMax: 200 });
  const pids = [];
  socket.on("disconnect", (reason) => stage.saw("disconnected", reason));
  const twice = new Promise((resolve) =>
    socket.on("welcome", async ({ pid }) => {
      await stage.upgraded(socket);
      stage.saw("connected", { pid, sid: socket.id, transport: socket.io.engine.transport.name });
      if (pids.push(pid) === 2) resolve();
    }),
  );
  await twice;
  stage.saw("ack", await stage.acked(socket, "same", "after", BYTES));
  socket.off("disconnect");
}

/** Clients of several nodes of one cluster; a desk on the first node does what tests/cluster/application.py can do. */
async function cluster(stage) {
  const { urls } = stage.settings;
  const desk = await stage.connected("/", { url: urls[0] });
  const act = async (method, args, kwargs = {}) => (await stage.acked(desk, "do", method, args, kwargs))[0];
  const sockets = [];
  for (const url of urls) sockets.push(await stage.connected("/", { url }));
  const heard = sockets.map((socket, index) => {
    const events = [];
    for (const name of ["all", "room", "one", "several", "disconnect"]) socket.on(name, (...args) => events.push([name, ...args]));
    socket.on("question", (question, answer) => answer(index, question, BYTES));
    return events;
  });
  const ids = sockets.map((socket) => socket.id);
  for (const id of ids) await act("enter_room", [id, "room"]);
  await act("emit", ["all", [BYTES, { deep: [BYTES] }]]);
  await act("emit", ["room", "text"], { to: "room", skip_sid: ids[1] });
  for (const [index, id] of ids.entries()) await act("emit", ["one", index], { to: id });
  await act("emit", ["several", null], { to: ["room", ids[0], ids[2]] });
  for (const id of ids) stage.saw("answer", (await act("call", ["question", BYTES], { to: id, timeout: 10 })).value);
  for (const id of ids) stage.saw("as a room", (await act("enter_room", [ids[0], id])).error || null);
  await act("leave_room", [ids[2], "room"]);
  const complete = Promise.all(sockets.map((socket) => stage.event(socket, "that is all")));
  await act("emit", ["room", "without the last"], { to: "room" });
  await act("emit", ["that is all"]);
  await complete;
  const gone = sockets.slice(1).map((socket) => new Promise((resolve) => socket.once("disconnect", resolve)));
  await act("disconnect", [ids[1]]);
  await act("disconnect", [ids[2]], { close: true });
  await Promise.all(gone);
  for (const events of heard) stage.saw("heard", events);
  // The node lets go of those that are left: a process that ends has no time to say so over polling.
  const left = [sockets[0], desk].map((socket) => new Promise((resolve) => socket.once("disconnect", resolve)));
  await act("disconnect", [ids[0]], { close: true });
  desk.emit("do", "disconnect", [desk.id], { close: true });
  await Promise.all(left);
}

module.exports = { events, binary, acks, namespaces, refusal, order, reasons, farewells, restart, cluster };
