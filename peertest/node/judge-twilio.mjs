// The Twilio judge: OpenAI's adapter for Twilio Media Streams, unchanged. It takes the WebSockets that a Twilio consumer takes, and sends their audio on to
// OpenAI's realtime API, here a WebSocket of ours that keeps what it is given.
//
// OUT is a folder: each stream becomes OUT/<call>-<role>.ulaw once Twilio's stop has come. Standard output is one JSON object a line:
// {"event":"listening","port"}, {"event":"start",...} and {"event":"stop",...}, as they came.
import { TwilioRealtimeTransportLayer } from "@openai/agents-extensions";
import { createWriteStream, renameSync } from "node:fs";
import { join } from "node:path";
import { WebSocketServer } from "ws";

const out = process.env.OUT;
const tell = (event, more = {}) => console.log(JSON.stringify({ event, ...more }));

// OpenAI's side: it answers what the adapter waits for, and gives each append to the file that the URL names.
const files = new Map();
const openai = new WebSocketServer({ host: "127.0.0.1", port: 0 });
openai.on("connection", (socket, request) => {
  const name = new URL(request.url, "ws://x").searchParams.get("name");
  socket.send(JSON.stringify({ type: "session.created", session: {} }));
  socket.on("message", (text) => {
    const message = JSON.parse(text);
    if (message.type === "session.update") socket.send(JSON.stringify({ type: "session.updated", session: message.session }));
    if (message.type === "input_audio_buffer.append") files.get(name).write(Buffer.from(message.audio, "base64"));
  });
  socket.on("close", () => files.get(name).end(() => renameSync(join(out, name + ".tmp"), join(out, name + ".ulaw"))));
});

let streams = 0;
const twilio = new WebSocketServer({ host: "127.0.0.1", port: 0 });
twilio.on("connection", async (socket) => {
  const name = `stream-${++streams}`;
  files.set(name, createWriteStream(join(out, name + ".tmp")));
  socket.pause(); // what comes before the adapter is connected would be thrown away
  const transport = new TwilioRealtimeTransportLayer({ twilioWebSocket: socket, url: `ws://127.0.0.1:${openai.address().port}/?name=${name}`, inputAudioInactivityTimeoutMs: null });
  transport.on("error", (error) => {
    console.error("adapter:", error);
    process.exitCode = 1;
  });
  transport.on("*", ({ type, message }) => {
    if (type === "twilio_message" && (message.event === "start" || message.event === "stop")) {
      tell(message.event, { name, message });
      if (message.event === "stop") setTimeout(() => socket.close(), 100);
    }
  });
  await transport.connect({ apiKey: "made-up" });
  socket.resume();
});
twilio.on("listening", () => tell("listening", { port: twilio.address().port }));
