"use strict";
// Runs one scenario with one version of the official client and tells what it saw, one line of JSON for each thing:
//   node client.js '{"scenario":"acks","url":"http://127.0.0.1:3000","client":"socket.io-client","transport":"polling"}'
// Nothing is judged here; test_js_client.py does that. `node client.js --check` names the packages that are missing.

const scenarios = require("./scenarios");

const PACKAGES = ["socket.io-client", "sioclient40", "socket.io-msgpack-parser"];
const PATIENCE_MS = 30_000 * Number(process.env.ROOMCAST_TEST_PATIENCE || "1");
const TRANSPORTS = { polling: ["polling"], websocket: ["websocket"], upgrade: ["polling", "websocket"] };

function isMissing(name) {
  try {
    require.resolve(name);
    return false;
  } catch {
    return true;
  }
}

/** Buffers become {"bytes": "<hex>"}, at any depth. */
function plain(value) {
  if (value instanceof ArrayBuffer) return plain(Buffer.from(value));
  if (ArrayBuffer.isView(value)) return { bytes: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("hex") };
  if (Array.isArray(value)) return value.map(plain);
  if (value !== null && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
  }
  return value === undefined ? { undefined: true } : value;
}

class Stage {
  constructor(settings) {
    this.settings = settings;
    this.io = require(settings.client).io;
    this.sockets = [];
  }

  saw(name, value = null) {
    process.stdout.write(JSON.stringify({ name, value: plain(value) }) + "\n");
  }

  /** A socket on a connection of its own, unless `options.manager` lends one. It does not reconnect unless told to. */
  socket(namespace = "/", { manager, url = this.settings.url, ...options } = {}) {
    const { transport, path = "/socket.io/", parser } = this.settings;
    const socket = manager
      ? manager.socket(namespace, options)
      : this.io(url + namespace, {
          path,
          transports: TRANSPORTS[transport],
          forceNew: true,
          reconnection: false,
          ...(parser ? { parser: require(parser) } : {}),
          ...options,
        });
    this.sockets.push(socket);
    return socket;
  }

  /** The same, connected, and upgraded where that is what is tested. */
  async connected(namespace, options) {
    const socket = this.socket(namespace, options);
    await this.event(socket, "connect");
    await this.upgraded(socket);
    return socket;
  }

  async upgraded(socket) {
    const engine = socket.io.engine;
    if (this.settings.transport === "upgrade" && engine.transport.name !== "websocket") {
      await new Promise((resolve) => engine.once("upgrade", resolve));
    }
  }

  /** The arguments of the next such event; a refused connection rejects. */
  event(socket, name) {
    return new Promise((resolve, reject) => {
      socket.once(name, (...args) => resolve(args));
      if (name !== "connect_error") socket.once("connect_error", reject);
    });
  }

  /** Emit, and give the arguments of the acknowledgement. */
  acked(socket, ...args) {
    return new Promise((resolve) => socket.emit(...args, (...answer) => resolve(answer)));
  }

  close() {
    for (const socket of this.sockets) socket.disconnect();
  }
}

async function main(argument) {
  if (argument === "--check") {
    process.stdout.write(JSON.stringify(PACKAGES.filter(isMissing)) + "\n");
    return;
  }
  const settings = JSON.parse(argument);
  const stage = new Stage(settings);
  setTimeout(() => {
    stage.saw("error", `${settings.scenario} did not end within ${PATIENCE_MS} ms`);
    process.exit(1);
  }, PATIENCE_MS).unref();
  await scenarios[settings.scenario](stage);
  stage.close();
  stage.saw("done");
}

main(process.argv[2]).then(
  // Not before all is written: a pipe that is full takes its time.
  () => process.stdout.write("", () => process.exit(0)),
  (error) => {
    process.stderr.write(`${error.stack || error}\n`);
    process.exit(1);
  },
);
