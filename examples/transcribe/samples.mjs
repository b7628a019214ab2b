// samplesOf turns octets of s16le into samples from -1 to 1; an octet that a chunk cuts off waits for the next one.
export async function* samplesOf(octets) {
  let rest = Buffer.alloc(0);
  for await (const chunk of octets) {
    const all = Buffer.concat([rest, chunk]), n = all.length >> 1;
    const pcm = new Float32Array(n);
    for (let i = 0; i < n; i++) pcm[i] = all.readInt16LE(2 * i) / 32768;
    rest = all.subarray(2 * n);
    yield pcm;
  }
}
