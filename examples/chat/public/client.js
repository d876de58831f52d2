// The official Socket.IO client: from this server where `npm install` has put it, else the same file from a CDN.

const HERE = { src: "vendor/socket.io.min.js" };
const CDN = {
  src: "https://cdn.jsdelivr.net/npm/socket.io-client@4.8.4/dist/socket.io.min.js",
  integrity: "sha384-fBrXvbDtHoeKWJ/hcA6M+YGueiDW+h45I7V6F2kD1S8bOkrF9rZYPLVkCR6BLR/1",
  crossOrigin: "anonymous",
};

function load(attributes) {
  return new Promise((resolve, reject) => {
    const script = Object.assign(document.createElement("script"), attributes);
    script.onload = () => resolve(window.io);
    script.onerror = () => reject(new Error(`${attributes.src} cannot be loaded`));
    document.head.append(script);
  });
}

/** The function `io` of the client. Rejects when neither place has it. */
export const loadClient = () => load(HERE).catch(() => load(CDN));
