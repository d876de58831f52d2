// The three-event application on socketioxide:  cargo build --release && target/release/rust_app PORT
use serde_json::Value;
use socketioxide::{
    extract::{AckSender, Data, SocketRef},
    SocketIo,
};

#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() {
    let port: u16 = std::env::args().nth(1).unwrap().parse().unwrap();
    // The default buffer of 128 packets per client loses broadcasts of the burst workload.
    let (layer, io) = SocketIo::builder().max_buffer_size(4096).build_layer();
    let everybody = io.clone();
    io.ns("/", async move |socket: SocketRef| {
        socket.on("echo", async |Data::<Value>(data), ack: AckSender| {
            let _ = ack.send(&data);
        });
        socket.on("sink", async |_socket: SocketRef| {});
        let everybody = everybody.clone();
        socket.on("pub", async move |Data::<Value>(data)| {
            let _ = everybody.emit("msg", &data).await;
        });
    });
    let app = axum::Router::new().layer(layer);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    axum::serve(listener, app).await.unwrap();
}
