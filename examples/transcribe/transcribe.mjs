// transcribe.mjs: a stream consumer (type exec, rate 16000) that writes down what one party says, while it is said. Audio comes on
// standard input (s16le, 16 kHz, mono); a line of JSON goes out for what was understood: {"text","start","end","final"}, with times in
// seconds of that audio. ENGINE names another module with an open() as moonshine.mjs has.
import { Endpointer } from './endpointer.mjs';
import { samplesOf } from './samples.mjs';

const RATE = 16000;
const BEHIND = 2 * RATE * 2; // octets that wait to be read: two seconds

const { open } = await import(process.env.ENGINE ?? './moonshine.mjs');
const understand = await open();
const endpointer = new Endpointer();

async function tell(utterance) {
  if (!utterance.final && process.stdin.readableLength > BEHIND) return; // the engine is slow here: no time for half a sentence
  const text = await understand(utterance.pcm);
  if (text) console.log(JSON.stringify({ text, start: utterance.from / RATE, end: utterance.to / RATE, final: utterance.final }));
}

// While the engine works nothing is read: what is too much for earshot's buffer then is lost there, counted and told.
for await (const pcm of samplesOf(process.stdin)) for (const utterance of endpointer.hear(pcm)) await tell(utterance);
for (const utterance of endpointer.end()) await tell(utterance);
