// Endpointer cuts a stream of samples at 16 kHz into utterances by their energy: what an engine without a detector of its own needs.
// Its times are counted in samples from the first one it heard.
const FRAME = 320; // 20 ms
const frames = (ms) => ms / 20;
const LEAST = 0.006; // RMS, full scale is 1: -44 dB, what nobody says into a telephone
const ABOVE_NOISE = 3; // times the noise of the line
const NOISE_RISES = 1.01; // a frame, while nothing quieter comes: noise that begins is known within seconds, and speech pauses more often
const LEAD = frames(200); // kept before an utterance, for its first consonant
const PAUSE = frames(600); // ends an utterance
const TRAIL = frames(200); // of the pause that is kept
const SHORTEST = frames(100); // of loud frames: less is a click
const LONGEST = frames(15000); // then it is cut wherever it is
const PARTIAL = frames(1000);

export class Endpointer {
  #rest = new Float32Array(0); // less than a frame
  #past = []; // frames of the utterance, or those before one
  #at = 0; // samples heard, in whole frames
  #noise = LEAST;
  #loud = 0; // frames of the utterance that were; 0: there is none
  #quiet = 0; // frames since the last loud one

  // hear takes samples and gives what they bring to light: {pcm, from, to, final}.
  *hear(pcm) {
    const all = joined([this.#rest, pcm]);
    let i = 0;
    for (; i + FRAME <= all.length; i += FRAME) yield* this.#frame(all.subarray(i, i + FRAME));
    this.#rest = all.slice(i);
  }

  // end gives the utterance that the end of the call cuts off.
  *end() {
    if (this.#loud) yield* this.#close();
  }

  *#frame(frame) {
    const level = Math.sqrt(frame.reduce((sum, v) => sum + v * v, 0) / FRAME);
    const loud = level > Math.max(LEAST, ABOVE_NOISE * this.#noise);
    this.#noise = Math.min(Math.max(level, 1e-4), this.#noise * NOISE_RISES);
    this.#past.push(frame.slice());
    this.#at += FRAME;
    if (loud) this.#loud++;
    this.#quiet = loud ? 0 : this.#quiet + 1;
    if (!this.#loud) {
      if (this.#past.length > LEAD) this.#past.shift();
    } else if (this.#quiet >= PAUSE || this.#past.length >= LONGEST) {
      yield* this.#close();
    } else if (this.#past.length % PARTIAL === 0) {
      yield this.#utterance(0, false);
    }
  }

  *#close() {
    const cut = Math.max(0, this.#quiet - TRAIL);
    if (this.#loud >= SHORTEST) yield this.#utterance(cut, true);
    this.#past = cut ? this.#past.slice(-cut).slice(-LEAD) : []; // no sample is in two utterances
    this.#loud = this.#quiet = 0;
  }

  #utterance(cut, final) {
    const said = this.#past.slice(0, this.#past.length - cut);
    return { pcm: joined(said), from: this.#at - this.#past.length * FRAME, to: this.#at - cut * FRAME, final };
  }
}

function joined(parts) {
  const out = new Float32Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) {
    out.set(p, at);
    at += p.length;
  }
  return out;
}
