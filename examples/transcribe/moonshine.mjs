// Moonshine tiny, English: a speech engine whose weights lie in its npm package. It takes whole utterances, mono at 16 kHz, and works
// on the CPU, offline. Encoder and decoder are ONNX models; the decoder gives a token at a time, the likeliest.
import { fileURLToPath } from 'node:url';
import * as ort from 'onnxruntime-node';
import llama from 'llama-tokenizer-js';

const MODEL = new URL('node_modules/@moonshine-ai/moonshine-js/dist/model/tiny/quantized/', import.meta.url);
const LAYERS = 6, HEADS = 8, WIDTH = 36; // of the tiny decoder
const BEGIN = 1, END = 2; // tokens
const RATE = 16000;
const TOKENS_PER_SECOND = 6.5; // its authors' bound: an engine that repeats itself comes to an end

// open loads the model and gives a function from samples (Float32Array, -1 to 1, 16 kHz) to text.
export async function open() {
  // One thread: there is a process for each party of each call.
  const load = (name) => ort.InferenceSession.create(fileURLToPath(new URL(name, MODEL)), { intraOpNumThreads: 1, interOpNumThreads: 1 });
  const [encoder, decoder] = await Promise.all([load('encoder_model.onnx'), load('decoder_model_merged.onnx')]);
  const tokenizer = llama.default ?? llama;
  return async (pcm) => {
    const heard = await encoder.run({ input_values: new ort.Tensor('float32', pcm, [1, pcm.length]) });
    const tokens = await decode(decoder, heard.last_hidden_state, Math.ceil((pcm.length / RATE) * TOKENS_PER_SECOND));
    return tokenizer.decode(tokens, true, true).trim();
  };
}

async function decode(decoder, heard, most) {
  const past = nothingYet(), tokens = [];
  for (let last = BEGIN; tokens.length < most; tokens.push(last)) {
    const out = await decoder.run({
      input_ids: new ort.Tensor('int64', BigInt64Array.of(BigInt(last)), [1, 1]), encoder_hidden_states: heard,
      use_cache_branch: new ort.Tensor('bool', [tokens.length > 0], [1]), ...past,
    });
    last = likeliest(out.logits.data);
    if (last === END) break;
    for (const name of Object.keys(past)) {
      const kept = tokens.length > 0 && name.includes('.encoder.'); // what it pays attention to in the audio is worked out once
      if (!kept) past[name] = out[name.replace('past_key_values', 'present')];
    }
  }
  return tokens;
}

function nothingYet() {
  const past = {};
  for (let layer = 0; layer < LAYERS; layer++)
    for (const side of ['decoder', 'encoder'])
      for (const part of ['key', 'value'])
        past[`past_key_values.${layer}.${side}.${part}`] = new ort.Tensor('float32', new Float32Array(0), [0, HEADS, 1, WIDTH]);
  return past;
}

function likeliest(logits) {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i] > logits[best]) best = i;
  return best;
}
