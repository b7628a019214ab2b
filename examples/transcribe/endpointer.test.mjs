import assert from 'node:assert/strict';
import test from 'node:test';
import { Endpointer } from './endpointer.mjs';

const RATE = 16000;

// sound is silence with something like speech in it, syllables of 200 ms and 50 ms between them, from and to in seconds; and noise all over.
function sound(seconds, spoken, noise = 0) {
  const pcm = new Float32Array(seconds * RATE);
  for (let i = 0; i < pcm.length; i++) {
    const t = i / RATE;
    if (spoken.some(([from, to]) => t >= from && t < to && (t - from) % 0.25 < 0.2)) pcm[i] = 0.2 * Math.sin(2 * Math.PI * 300 * t);
    pcm[i] += noise * (((i * 7919) % 1000) / 500 - 1);
  }
  return pcm;
}

// cut runs it through an endpointer in chunks of any size, and wants each utterance's samples to be those of its place.
function cut(pcm, chunk = 1000) {
  const endpointer = new Endpointer(), out = [];
  for (let i = 0; i < pcm.length; i += chunk) out.push(...endpointer.hear(pcm.subarray(i, i + chunk)));
  out.push(...endpointer.end());
  for (const u of out) assert.deepEqual(u.pcm, pcm.slice(u.from, u.to));
  return out;
}

const finals = (utterances) => utterances.filter((u) => u.final);

test('what is said comes out once, with a little before and after it', () => {
  for (const chunk of [17, 319, 320, 1000, 50000]) {
    const got = finals(cut(sound(8, [[1, 2.44], [4, 5.94]]), chunk)).map((u) => [u.from / RATE, u.to / RATE]);
    assert.deepEqual(got, [[0.8, 2.64], [3.8, 6.14]], `in chunks of ${chunk}`);
  }
});

test('a short pause does not end an utterance', () => {
  assert.equal(finals(cut(sound(6, [[1, 2], [2.4, 3]]))).length, 1);
});

test('what is not over yet comes out each second', () => {
  const partials = cut(sound(6, [[1, 4.5]])).filter((u) => !u.final);
  assert.deepEqual(partials.map((u) => (u.to - u.from) / RATE), [1, 2, 3, 4]);
  assert.ok(partials.every((u) => u.from === partials[0].from));
});

test('who never pauses is cut each 15 s, and no sample is in two utterances', () => {
  const got = finals(cut(sound(40, [[0, 40]])));
  assert.deepEqual(got.map((u) => [u.from / RATE, u.to / RATE]), [[0, 15], [15, 30], [30, 40]]);
});

test('the call may end in the middle of a word', () => {
  assert.deepEqual(finals(cut(sound(2, [[1, 2]]))).map((u) => u.to), [2 * RATE]);
});

test('a click is nothing said, and so is the noise of a line', () => {
  assert.equal(cut(sound(5, [[1, 1.06]])).length, 0);
  const noisy = finals(cut(sound(30, [[20, 22]], 0.02)));
  assert.ok(noisy.some((u) => u.from < 20 * RATE && u.to > 22 * RATE));
  assert.ok(noisy.every((u) => u.to < 10 * RATE || u.from > 19 * RATE), 'the noise is learned within seconds');
});

test('silence keeps nothing', () => {
  const endpointer = new Endpointer();
  for (let i = 0; i < 1000; i++) assert.equal([...endpointer.hear(new Float32Array(1600))].length, 0);
});
