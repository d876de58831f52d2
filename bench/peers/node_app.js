// The three-event application on Node's socket.io:  node node_app.js PORT
// With REDIS=redis://… in the environment it joins a cluster through that server.
const { createServer } = require("http");
const { Server } = require("socket.io");

async function adapter(url) {
  const { createAdapter } = require("@socket.io/redis-adapter");
  const { createClient } = require("redis");
  const publishing = createClient({ url });
  const subscribing = publishing.duplicate();
  await Promise.all([publishing.connect(), subscribing.connect()]);
  return createAdapter(publishing, subscribing);
}

async function main() {
  const http = createServer();
  const options = { cors: { origin: "*" }, serveClient: false };
  if (process.env.REDIS) options.adapter = await adapter(process.env.REDIS);
  const io = new Server(http, options);
  io.on("connection", (socket) => {
    socket.on("echo", (data, answer) => answer && answer(data));
    socket.on("sink", () => {});
    socket.on("pub", (data) => io.emit("msg", data));
  });
  http.listen(Number(process.argv[2]), "127.0.0.1");
}

main();
