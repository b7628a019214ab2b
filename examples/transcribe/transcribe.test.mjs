import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

// An engine that says how many samples it got, and nothing of an utterance shorter than 1.25 s.
const engine = 'data:text/javascript,' + encodeURIComponent("export const open = () => (pcm) => (pcm.length < 20000 ? '' : 'samples ' + pcm.length);");

async function transcribed(octets, chunk) {
  const script = fileURLToPath(new URL('transcribe.mjs', import.meta.url));
  const p = spawn(process.execPath, [script], { env: { ...process.env, ENGINE: engine }, stdio: ['pipe', 'pipe', 'inherit'] });
  let out = '';
  p.stdout.setEncoding('utf8').on('data', (s) => { out += s; });
  for (let i = 0; i < octets.length; i += chunk) if (!p.stdin.write(octets.subarray(i, i + chunk))) await once(p.stdin, 'drain');
  p.stdin.end();
  const [code] = await once(p, 'close');
  assert.equal(code, 0);
  return out.trim().split('\n').filter(Boolean).map((l) => JSON.parse(l));
}

function tone(seconds, from, to) {
  const octets = Buffer.alloc(2 * 16000 * seconds);
  for (let i = from * 16000; i < to * 16000; i++) octets.writeInt16LE(Math.round(8000 * Math.sin(i / 8)), 2 * i);
  return octets;
}

test('a line for what was understood, in seconds of the audio; chunks may cut samples in two', async () => {
  const lines = await transcribed(tone(5, 1, 3), 4097);
  assert.deepEqual(lines.at(-1), { text: 'samples 38400', start: 0.8, end: 3.2, final: true });
  assert.ok(lines.slice(0, -1).every((l) => !l.final && l.start === 0.8));
});

test('nothing understood is no line', async () => {
  assert.deepEqual(await transcribed(tone(3, 1, 1.3), 65536), []);
  assert.deepEqual(await transcribed(Buffer.alloc(3), 3), []);
});
