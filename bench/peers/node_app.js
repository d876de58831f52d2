// The three-event application on Node's socket.io:  node node_app.js PORT
const { createServer } = require("http");
const { Server } = require("socket.io");

const http = createServer();
const io = new Server(http, { cors: { origin: "*" }, serveClient: false });
io.on("connection", (socket) => {
  socket.on("echo", (data, answer) => answer && answer(data));
  socket.on("sink", () => {});
  socket.on("pub", (data) => io.emit("msg", data));
});
http.listen(Number(process.argv[2]), "127.0.0.1");
