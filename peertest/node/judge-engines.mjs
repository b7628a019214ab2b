// The judge of dialects: what the clients of speech services send, recorded, so that earshot's can be laid beside it.
//
// A server on port 443 stands for the services, under their names; a proxy leads earshot to it, a lookup of ours the services' own SDKs (Deepgram's, AssemblyAI's and
// OpenAI's, unchanged), which are run first. The server of jambonz' SDK takes its streams by itself. http-message-signatures judges the signature of AudioHook's client, whose
// server here is a few lines of ours, and the TypeScript compiler, with the types of OpenAI's SDK, what is sent to OpenAI.
//
// OUT is a folder for the audio of each stream; CERT and KEY are files. Standard output is one JSON object a line: {"event":"ready",ports}, then {"event":"stream",...} for each
// stream that has ended.
import { DeepgramClient } from "@deepgram/sdk";
import { createEndpoint } from "@jambonz/sdk/websocket";
import { AssemblyAI } from "assemblyai";
import { createVerifier, httpbis } from "http-message-signatures";
import dns from "node:dns";
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import net from "node:net";
import { join, resolve } from "node:path";
import OpenAI from "openai";
import { OpenAIRealtimeWS } from "openai/realtime/ws";
import ts from "typescript";
import { WebSocketServer } from "ws";

const out = process.env.OUT;
const tell = (event, more = {}) => console.log(JSON.stringify({ event, ...more }));
const lookup = dns.lookup;
dns.lookup = (name, options, done) => lookup(/^[a-z]/.test(name) ? "127.0.0.1" : name, options, done);

let streams = 0;
let ended = 0;
let by = "sdk";
const greetings = { "api.deepgram.com": () => [], "streaming.assemblyai.com": () => [{ type: "Begin", id: "b", expires_at: 1 }], "api.openai.com": () => [{ type: "session.created" }] };

// answers gives what a service says to a message.
function answers(host, message) {
  switch (host + " " + (message.type ?? "")) {
    case "streaming.assemblyai.com Terminate":
      return [{ type: "Termination", audio_duration_seconds: 1, session_duration_seconds: 1 }, null];
    case "api.deepgram.com CloseStream":
      return [{ type: "Metadata", request_id: "r" }, null];
    case "api.openai.com session.update":
      return [{ type: "session.updated", session: message.session }];
    case "api.openai.com input_audio_buffer.commit":
      return [{ type: "input_audio_buffer.committed", item_id: "i" }, { type: "conversation.item.input_audio_transcription.completed", item_id: "i", content_index: 0, transcript: "" }];
    case "audiohook.test open":
      return [hook(message, "opened", { media: [message.parameters.media[0]] })];
    case "audiohook.test ping":
      return [hook(message, "pong", {})];
    case "audiohook.test close":
      return [hook(message, "closed", {})];
  }
  return [];
}

const hookSeq = new Map();
function hook(message, type, parameters) {
  const seq = (hookSeq.get(message.id) ?? 0) + 1;
  hookSeq.set(message.id, seq);
  return { version: "2", type, id: message.id, seq, clientseq: message.seq, parameters };
}

// signed says what http-message-signatures has to say of a request.
async function signed(request) {
  try {
    const key = { id: "key-1", algs: ["hmac-sha256"], verify: createVerifier("hunter2", "hmac-sha256") };
    const verified = await httpbis.verifyMessage({ keyLookup: async () => key, requiredParams: ["keyid", "nonce", "alg", "created", "expires"] },
      { method: request.method, url: `https://${request.headers.host}${request.url}`, headers: request.headers });
    return String(verified);
  } catch (error) {
    return String(error);
  }
}

const service = https.createServer({ cert: readFileSync(process.env.CERT), key: readFileSync(process.env.KEY) });
new WebSocketServer({ server: service }).on("connection", (socket, request) => {
  const host = request.headers.host;
  const file = join(out, `${by}-${++streams}`);
  const heard = [];
  const stream = { by, host, url: request.url, authorization: request.headers.authorization, file, texts: [] };
  if (host === "audiohook.test") signed(request).then((signature) => (stream.signature = signature));
  const say = (message) => (message === null ? socket.close(1000) : socket.send(JSON.stringify(message)));
  (greetings[host] ?? (() => []))().forEach(say);
  socket.on("message", (data, binary) => {
    if (binary) return heard.push(data);
    const message = JSON.parse(data);
    if (message.type === "input_audio_buffer.append") {
      heard.push(Buffer.from(message.audio, "base64"));
      message.audio = "";
    }
    if (message.type !== "input_audio_buffer.append" || stream.texts.at(-1) !== JSON.stringify(message)) stream.texts.push(JSON.stringify(message));
    answers(host, message).forEach(say);
  });
  socket.on("close", () => {
    stream.octets = keep(file, heard);
    if (host === "api.openai.com") stream.types = typeErrors(file, stream.texts);
    tell("stream", stream);
    if (++ended === 3) ready(); // the SDKs'
  });
});

function keep(file, heard) {
  writeFileSync(file, Buffer.concat(heard));
  return Buffer.concat(heard).length;
}

// typeErrors has OpenAI's types look at messages; once at the same ones, for that takes its time.
const judged = new Map();
function typeErrors(name, texts) {
  const key = texts.join("\n");
  if (!judged.has(key)) judged.set(key, compile(name, texts));
  return judged.get(key);
}

function compile(name, texts) {
  const source = name + ".ts";
  writeFileSync(source, `import type { RealtimeClientEvent } from "openai/resources/realtime/realtime";\n` + texts.map((t, i) => `export const m${i}: RealtimeClientEvent = ${t};\n`).join(""));
  const program = ts.createProgram([source], { strict: true, noEmit: true, skipLibCheck: true, types: [], module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler, target: ts.ScriptTarget.ES2022 });
  return ts.getPreEmitDiagnostics(program).map((d) => ts.flattenDiagnosticMessageText(d.messageText, " "));
}

const audio = Buffer.alloc(800, 0x55); // 100 ms of mu-law
const closed = (socket) => new Promise((done) => socket.addEventListener("close", done));

async function deepgram() {
  const client = new DeepgramClient({ apiKey: "made-up" });
  const live = await client.listen.v1.connect({ encoding: "mulaw", sample_rate: 8000, channels: 1, multichannel: false, interim_results: true, reconnectAttempts: 0 });
  live.connect();
  await live.waitForOpen();
  live.sendMedia(audio);
  live.sendKeepAlive({ type: "KeepAlive" });
  const end = closed(live.socket);
  live.sendCloseStream({ type: "CloseStream" });
  await end;
}

async function assemblyai() {
  const live = new AssemblyAI({ apiKey: "made-up" }).streaming.transcriber({ sampleRate: 8000, encoding: "pcm_mulaw" });
  await live.connect();
  live.sendAudio(audio);
  await live.close();
}

async function openai() {
  const live = new OpenAIRealtimeWS({ intent: "transcription" }, new OpenAI({ apiKey: "made-up" }));
  await new Promise((done) => live.on("session.created", done));
  const input = { format: { type: "audio/pcmu" }, transcription: { model: "gpt-4o-transcribe" }, turn_detection: { type: "server_vad" } };
  live.send({ type: "session.update", session: { type: "transcription", audio: { input } } });
  live.send({ type: "input_audio_buffer.append", audio: audio.toString("base64") });
  const end = closed(live.socket);
  live.on("conversation.item.input_audio_transcription.completed", () => live.close());
  live.send({ type: "input_audio_buffer.commit" });
  await end;
}

// jambonz' own server of listen sockets.
const jambonz = http.createServer();
const makeService = createEndpoint({ server: jambonz, port: 0 });
makeService.audio({ path: "/audio" }).on("connection", (live) => {
  const stream = { by: "jambonz", metadata: live.metadata, file: join(out, `jambonz-${++streams}`) };
  const heard = [];
  live.on("audio", (data) => heard.push(data));
  live.on("close", () => {
    stream.octets = keep(stream.file, heard);
    tell("stream", stream);
  });
});

const proxy = http.createServer();
proxy.on("connect", (request, socket) => {
  const on = net.connect(443, "127.0.0.1", () => {
    socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
    socket.pipe(on).pipe(socket);
  });
  on.on("error", () => socket.destroy());
  socket.on("error", () => on.destroy());
});

symlinkSync(resolve("node_modules"), join(out, "node_modules"));
const listening = (server, port) => new Promise((done) => server.listen(port, "127.0.0.1", done));
await listening(service, 443);
await listening(proxy, 0);
if (!jambonz.listening) await listening(jambonz, 0);
await deepgram();
await assemblyai();
await openai();

function ready() {
  by = "earshot";
  tell("ready", { proxy: proxy.address().port, jambonz: jambonz.address().port });
}
